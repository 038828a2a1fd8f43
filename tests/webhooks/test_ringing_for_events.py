"""After the commit: workers and sweepers ring for who is told, and what a killed one did not ring for is not lost."""

import datetime as dt
import json

import pytest
from celery import Celery
from django.db.models.functions import Now

from renders.models import MAX_ATTEMPTS, Render
from tests.conftest import wait_until
from tests.renders.faults import Installation, has_status, own_broker, own_database
from tests.webhooks.ended import RECEIVER, claim, complete, deliveries_of, events_of, subscribe
from tests.webhooks.receivers import database_time
from webhooks.models import Delivery

pytestmark = pytest.mark.timeout(400)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(scope="module", autouse=True)
def installation(database, tmp_path_factory):
    """A worker that renders; nobody takes the messages for deliveries, and no sweeper runs but for a round."""
    with own_database() as url, own_broker() as broker:
        installation = Installation(tmp_path_factory.mktemp("ringing"), url, broker)
        try:
            yield installation
        finally:
            installation.stop()


def sweep_once(installation) -> None:
    sweeper = installation.processes.start("sweeper", "manage.py", "sweep", "--once", **installation._environment)
    assert sweeper.wait(100) == 0


def rung_for(installation) -> set[str]:
    """The deliveries for which there is a message."""
    with installation.broker.client() as client:
        messages = [json.loads(each) for each in client.lrange("webhooks", 0, -1)]
    assert {each["headers"]["task"] for each in messages} <= {"webhooks.send_delivery"}
    return {each["headers"]["kwargsrepr"].removeprefix("{'delivery_id': '").removesuffix("'}") for each in messages}


@pytest.mark.parametrize(
    ("source", "status"), [("Hello", "completed"), ('#panic("No.")', "failed")], ids=["completed", "failed"]
)
def test_a_worker_rings_for_everybody_who_is_told(installation, api, accept, source, status):
    subscribe(api, "render.completed", "render.failed")
    render = accept(api, api.template(source), queue="async", webhook_url=RECEIVER)
    installation.a_worker()
    with Celery(broker=installation.broker.url, set_as_current=False) as bell:
        bell.send_task("renders.run_render", kwargs={"render_id": render.id}, queue="async", ignore_result=True)
    wait_until(lambda: has_status(render.id, status))
    assert [each.name for each in events_of(render)] == [f"render.{status}"]
    told = {each.id for each in deliveries_of(render)}
    assert len(told) == 2
    wait_until(lambda: rung_for(installation) >= told)


def test_who_is_told_of_a_render_that_was_given_up_is_rung_for(installation, api, accept):
    subscribe(api, "render.failed")
    render = accept(api, api.template(), queue="nobody", webhook_url=RECEIVER)
    for _ in range(MAX_ATTEMPTS):
        Render.objects.filter(pk=render.pk).update(lease_expires_at=Now() - SECOND)
        claim(render)
    Render.objects.filter(pk=render.pk).update(lease_expires_at=Now() - SECOND, ring_at=Now() - SECOND)
    sweep_once(installation)
    event = events_of(render)[0]
    assert event.name == "render.failed"
    assert json.loads(event.body)["error"] == (
        "The render was interrupted 3 times and was given up. Its credit was given back."
    )
    told = {each.id for each in deliveries_of(render)}
    assert len(told) == 2
    assert rung_for(installation) >= told


def test_the_sweeper_rings_for_what_a_killed_worker_did_not_ring_for(installation, api, accept):
    """Killed after the commit: the rows are there, no message is."""
    subscribe(api)
    render = accept(api, api.template(), queue="nobody", webhook_url=RECEIVER)
    told = set(complete(claim(render)).delivery_ids)
    assert rung_for(installation) & told == set()
    Delivery.objects.filter(pk__in=told).update(ring_at=Now() - SECOND)
    before = database_time()
    sweep_once(installation)
    assert rung_for(installation) >= told
    assert not Delivery.objects.filter(pk__in=told, ring_at__lt=before + 10 * SECOND).exists()
