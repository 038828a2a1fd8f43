"""Queues: who waits for an answer is served before who does not."""

import datetime as dt

import pytest
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import Team
from automette.lib.tasks import send
from renders import services
from renders.models import Render
from renders.tasks import run_render
from tests.conftest import wait_until

# About a tenth of a second of work that Typst cannot remember from the render before.
SLOW = '#let n = data.at("n", default: 0)\n#let s = 0\n#for i in range(150000) { s += calc.rem(i * n, 7) }\n#s'
SLOWER = SLOW.replace("150000", "600000")
WORKER_THREADS = 4


@pytest.fixture(autouse=True)
def wait_for_long(settings):
    settings.SYNC_WAIT_SECONDS = 100


@pytest.fixture
def rung_at(monkeypatch) -> list[dt.datetime]:
    """When the message of each call was in its queue, by the database's clock."""
    moments = []

    def send_and_note(*task, **more) -> bool:
        sent = send(*task, **more)
        moments.append(Team.objects.values_list(Now(), flat=True)[0])
        return sent

    monkeypatch.setattr(services, "send", send_and_note)
    return moments


def give_up(api) -> None:
    """Let nobody spend time on what is still pending."""
    api.team.renders.filter(status="pending").update(
        status="failed", error="Not needed any more.", finished_at=F("created_at"), ring_at=None
    )


def test_sync_render_overtakes_a_long_queue(server, new_api, other_api):
    api = new_api(credits=300)  # for a minute of work, so that most is still to be done whatever keeps us up here
    slow = api.template(SLOWER)
    try:
        for number in range(300):
            assert api.post("/api/v1/renders", {"template_id": slow, "data": {"n": number + 1}}).status_code == 202
        status, _ = other_api.render(other_api.template())
        assert status == 200
        assert api.team.renders.filter(status=Render.Status.PENDING).count() > 30
    finally:
        give_up(api)


@pytest.mark.timeout(300)
def test_sync_renders_pass_a_long_bulk_queue(server, new_api, accept, rung_at):
    """Between a message and its beginning no more bulk renders begin than there are threads; in one queue 300 would.

    One per thread is what may be taken while the worker is being told of the message.
    """
    bulk, caller = new_api(credits=300), new_api()
    slow, quick = bulk.template(SLOWER), caller.template()
    ids = [accept(bulk, slow, queue="bulk", data=f'{{"n": {number + 1}}}').id for number in range(300)]
    for render_id in ids:
        assert send(run_render, queue="bulk", kwargs={"render_id": render_id})
    wait_until(lambda: bulk.team.renders.filter(status="running").count() == WORKER_THREADS, 100)
    try:
        for _ in range(5):
            assert caller.render(quick)[0] == 200
    finally:
        give_up(bulk)
    begun = bulk.team.renders.exclude(started_at=None)
    for one, moment in zip(caller.team.renders.order_by("created_at"), rung_at, strict=True):
        between = begun.filter(started_at__gt=moment, started_at__lt=one.started_at).count()
        ended = begun.filter(finished_at__gt=moment, finished_at__lt=one.finished_at).count()
        print(f"bulk renders begun {between}, ended {ended}; {one.finished_at - one.created_at} s")
        assert between <= WORKER_THREADS
        assert ended <= 2 * WORKER_THREADS  # those, and what had begun before
