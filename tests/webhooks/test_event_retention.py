"""Events go with everything below them: after their time, and with their render; what is still to be told stays."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings as configured
from django.db import connection, transaction
from django.db.models.functions import Now

from automette.lib.ids import new_id
from renders.models import Render
from tests.api.test_delete_render import delete, tables_that_say
from tests.conftest import wait_until
from tests.webhooks.ended import RECEIVER, attempt, claim, complete, deliveries_of, events_of, fail, subscribe
from webhooks import retention, statements
from webhooks.models import Attempt, Delivery, Event
from webhooks.tasks import delete_old_events

pytestmark = pytest.mark.usefixtures("own_rows")
CLOSED = {"lease_expires_at": None, "next_attempt_at": None, "ring_at": None}
STATES = {
    "pending": {},
    "sending": {"lease_expires_at": Now()},
    "delivered": {**CLOSED, "delivered_at": Now()},
    "failed": CLOSED,
    "suspended": CLOSED,
}


@pytest.fixture
def tell(api, accept):
    """A render that ended so many days ago, two deliveries with an attempt each, in these states."""
    subscribe(api, "render.completed", "render.failed")
    template_id = api.template()

    def make(days: float, *states: str) -> Render:
        render = accept(api, template_id, webhook_url=RECEIVER)
        complete(claim(render))
        Event.objects.filter(render_id=render.id).update(created_at=Now() - dt.timedelta(days=days))
        for delivery, state in zip(deliveries_of(render), states or ["delivered", "delivered"], strict=True):
            Delivery.objects.filter(pk=delivery.pk).update(status=state, claim=1, **STATES[state])
            attempt(delivery)
        return render

    return make


def left(render: Render) -> tuple[int, int, int]:
    attempts = Attempt.objects.filter(delivery__event__render_id=render.id)
    return len(events_of(render)), len(deliveries_of(render)), attempts.count()


def in_a_thread(work):
    def run():
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def test_events_are_kept_for_thirty_days(tell):
    assert configured.WEBHOOK_RETENTION_DAYS == 30
    old, young = tell(30.01), tell(29.99)
    delete_old_events()
    assert (left(old), left(young)) == ((0, 0, 0), (1, 2, 2))
    assert Render.objects.filter(pk=old.pk, deleted_at=None).exists()
    delete_old_events()
    assert left(young) == (1, 2, 2)


def test_the_time_can_be_set(tell, settings):
    settings.WEBHOOK_RETENTION_DAYS = 2
    old, young = tell(2.01), tell(1.99)
    delete_old_events()
    assert (left(old), left(young)) == ((0, 0, 0), (1, 2, 2))


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_what_is_still_to_be_told_stays(tell, state):
    waiting, done = tell(100, "delivered", state), tell(100, "failed", "suspended")
    delete_old_events()
    assert (left(waiting), left(done)) == ((1, 2, 2), (0, 0, 0))
    Delivery.objects.filter(event__render_id=waiting.id).update(status="failed", **CLOSED)
    delete_old_events()
    assert left(waiting) == (0, 0, 0)


def test_what_somebody_is_sending_again_at_this_moment_stays(tell):
    held, free = tell(100), tell(100)
    delivery = deliveries_of(held)[0]
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(status="pending", next_attempt_at=Now(), ring_at=Now())
        in_a_thread(delete_old_events)  # does not wait
    assert (left(held), left(free)) == ((1, 2, 2), (0, 0, 0))
    assert statements.claim(delivery.id) is not None


def test_more_than_a_batch_is_deleted_in_one_run(api, tell, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 2)
    renders = [tell(40) for _ in range(5)]
    delete_old_events()
    assert {left(each) for each in renders} == {(0, 0, 0)}


def test_several_workers_at_once_delete_all_of_it(tell, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 2)
    renders = [tell(40) for _ in range(12)]
    together = threading.Barrier(4)

    def run(_):
        together.wait()
        try:
            delete_old_events()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run, range(4)))
    delete_old_events()  # what one of them passed over because another held it
    assert {left(each) for each in renders} == {(0, 0, 0)}


def test_beat_starts_it_every_hour(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["delete-old-events"]
    assert (entry["task"], entry["schedule"]) == (delete_old_events.name, 3600.0)


@pytest.mark.parametrize("end", [complete, fail])
def test_deleting_a_render_deletes_what_was_told_of_it(api, accept, tell, end):
    secret = f"Zoë {new_id()}"
    other = tell(1)
    render = accept(api, api.template(), data=f'{{"name":"{secret}"}}', webhook_url=f"{RECEIVER}?{secret}")
    end(claim(render))
    for delivery in deliveries_of(render):
        attempt(delivery, answer=f"{secret} is welcome", finished_at=Now())
    assert tables_that_say(secret) == ["renders_render", "webhooks_attempt", "webhooks_delivery", "webhooks_event"]
    assert delete(api, render.id).status_code == 200
    assert (left(render), tables_that_say(secret)) == ((0, 0, 0), [])
    assert left(other) == (1, 2, 2)


def test_deleting_an_open_render_tells_nobody(api, accept):
    subscribe(api, "render.completed", "render.failed")
    render = accept(api, api.template(), webhook_url=RECEIVER)
    taken = claim(render)
    assert delete(api, render.id).json()["status"] == "running"
    assert (complete(taken), fail(taken)) == (None, None)
    assert left(render) == (0, 0, 0)


def test_other_teams_delete_nothing(other_api, tell):
    render = tell(1)
    assert delete(other_api, render.id).status_code == 404
    assert left(render) == (1, 2, 2)


def test_what_is_being_sent_while_its_render_is_deleted_leaves_nothing(api, tell):
    render = tell(1, "pending", "pending")
    first, second = deliveries_of(render)
    taken = statements.claim(first.id)
    assert delete(api, render.id).status_code == 200
    assert statements.record(taken, statements.Result(http_status=200, milliseconds=5)) is None
    assert statements.claim(second.id) is None
    assert left(render) == (0, 0, 0)


def test_a_deletion_waits_for_who_claims_and_takes_the_attempt_along(api, tell):
    """The attempt of a claim that commits after the deletion began would refer to nothing."""
    render = tell(1, "pending", "delivered")
    delivery = Delivery.objects.get(event__render_id=render.id, status="pending")
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            assert statements.claim(delivery.id) is not None
            deleting = thread.submit(lambda: in_a_thread(lambda: delete(api, render.id).status_code))
            wait_until(keeps_somebody_waiting)
        assert deleting.result() == 200
    assert left(render) == (0, 0, 0)


def keeps_somebody_waiting() -> bool:
    """Whether somebody waits for what this transaction has locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return cursor.fetchone()[0]


def test_without_that_wait_a_deletion_would_fail(api, tell, monkeypatch):
    """The control: what is not locked first is deleted without the attempt that has come meanwhile."""
    monkeypatch.setattr(retention, "_LOCK", "SELECT ''")
    render = tell(1, "pending", "delivered")
    delivery = Delivery.objects.get(event__render_id=render.id, status="pending")
    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            assert statements.claim(delivery.id) is not None
            deleting = thread.submit(lambda: in_a_thread(lambda: delete(api, render.id).status_code))
            wait_until(keeps_somebody_waiting)
        assert deleting.result() == 500
    assert left(render) == (1, 2, 3)
