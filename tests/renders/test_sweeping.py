"""The sweeper's decisions, one round at a time. What it rings for is taken by real workers in test_faults_*.py."""

import datetime as dt
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import time_machine
from django.db import connection, transaction
from django.db.models.functions import Now

from credits.models import LedgerEntry
from renders import statements
from renders.models import MAX_ATTEMPTS, Render
from renders.sweeping import sweep
from tests.renders.faults import own_broker, own_database

LEASE = 60
OFTEN = 5
"""After so many rings the next one is a minute away: longer than two rounds one after the other can take."""


@pytest.fixture(scope="module", autouse=True)
def own_installation(database):
    """A database that no running sweeper looks at, and a Redis whose queues are as long as a test makes them."""
    with own_database(), own_broker() as broker:
        yield broker


@pytest.fixture
def queues(own_installation):
    with own_installation.client() as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_else_is_due(own_installation, queues, settings):
    queues.flushall()
    settings.REDIS_URL = own_installation.url
    yield
    Render.objects.filter(finished_at=None).update(ring_at=Now() + dt.timedelta(days=1))


@pytest.fixture
def pending(api, accept):
    """Accept a render whose message was lost; `late` (seconds) is how long it should have been rung for."""

    def make(late: float = 1, queue: str = "async", rings: int = 0) -> Render:
        return be_late(accept(api, api.template(), queue=queue), late, rings=rings)

    return make


def be_late(render: Render, seconds: float = 1, **fields) -> Render:
    return change(render, ring_at=Now() - dt.timedelta(seconds=seconds), **fields)


def change(render: Render, **fields) -> Render:
    Render.objects.filter(pk=render.pk).update(**fields)
    render.refresh_from_db()
    return render


def interrupt(render: Render) -> statements.Claim:
    """Claim a render as a worker would that dies at once, and let its lease pass."""
    taken = statements.claim(render.id, lease_seconds=LEASE)
    assert taken is not None
    change(render, lease_expires_at=Now() - dt.timedelta(seconds=1), ring_at=Now() - dt.timedelta(seconds=1))
    return taken


def database_clock() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def refunds(render: Render) -> int:
    return LedgerEntry.objects.filter(render_id=render.id, kind="refund").count()


def in_threads(count: int, work) -> list:
    """Run `work` in that many threads that start it together."""
    together = threading.Barrier(count)

    def run(_):
        together.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_a_fresh_render_is_not_rung_for(api, accept):
    render = accept(api, api.template(), queue="async")
    assert render.ring_at - render.created_at == dt.timedelta(seconds=5)
    be_late(render, -60)  # these five seconds may be over by now
    assert sweep() == 0


def test_a_render_whose_message_was_lost_is_rung_once_when_its_time_has_come(pending):
    render = pending(rings=OFTEN)
    assert sweep() == 1
    assert sweep() == 0
    render.refresh_from_db()
    assert (render.status, render.attempt, render.rings) == ("pending", 0, OFTEN + 1)


def test_rings_come_less_and_less_often(pending):
    render = pending()
    for seconds in (5, 10, 20, 40, 60, 60):
        before = database_clock()
        assert sweep() == 1
        render.refresh_from_db()
        assert before <= render.ring_at - dt.timedelta(seconds=seconds) <= database_clock()
        be_late(render)


@pytest.mark.parametrize(("waiting", "rung"), [(50, 1), (51, 0)])
def test_a_render_in_a_long_queue_waits_its_turn(pending, queues, waiting, rung):
    render = pending()
    queues.lpush("async", *range(waiting))
    assert sweep() == rung
    render.refresh_from_db()
    assert render.rings == rung


def test_a_long_queue_hides_no_render_for_longer_than_a_minute(pending, queues):
    render = pending()
    queues.lpush("async", *range(1000))
    a_minute_old_at = change(render, created_at=Now() - dt.timedelta(seconds=55)).created_at + dt.timedelta(minutes=1)
    assert sweep() == 0 or database_clock() >= a_minute_old_at
    be_late(render, created_at=Now() - dt.timedelta(seconds=61))
    assert sweep() == 1


def test_a_long_queue_delays_no_other_queue_and_no_interrupted_render(pending, queues):
    elsewhere, interrupted = pending(queue="interactive"), pending(queue="async")
    interrupt(interrupted)
    queues.lpush("async", *range(1000))
    assert sweep() == 2
    assert Render.objects.filter(pk__in=[elsewhere.pk, interrupted.pk], rings=1).count() == 2


def test_two_sweepers_at_once_ring_once_for_each_render(api, accept):
    template_id = api.template()
    due = [be_late(accept(api, template_id, queue="async"), rings=OFTEN).pk for _ in range(60)]
    assert sum(in_threads(4, sweep)) == 60
    assert set(Render.objects.filter(pk__in=due).values_list("rings", flat=True)) == {OFTEN + 1}


def test_a_sweeper_passes_over_what_another_holds(pending):
    held, free = pending(rings=OFTEN), pending(rings=OFTEN)
    with transaction.atomic():
        Render.objects.select_for_update().get(pk=held.pk)
        assert in_threads(1, sweep) == [1]
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.rings, free.rings) == (OFTEN, OFTEN + 1)
    assert sweep() == 1


def test_a_lease_keeps_other_workers_and_the_sweeper_away_until_it_ends(pending):
    render = pending()
    assert statements.claim(render.id, lease_seconds=LEASE).attempt == 1
    assert statements.claim(render.id, lease_seconds=LEASE) is None
    assert sweep() == 0
    change(render, lease_expires_at=Now() - dt.timedelta(seconds=1), ring_at=Now() - dt.timedelta(seconds=1))
    assert sweep() == 1
    assert statements.claim(render.id, lease_seconds=LEASE).attempt == 2
    assert statements.claim(render.id, lease_seconds=LEASE) is None


def test_the_third_interruption_ends_a_render_and_gives_its_credit_back_once(api, pending):
    render = pending()
    assert api.credits() == 99
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert api.credits() == 99
        assert interrupt(render).attempt == attempt
        if attempt < MAX_ATTEMPTS:
            assert sweep() == 1
    assert statements.claim(render.id, lease_seconds=LEASE) is None
    assert in_threads(4, sweep) == [0, 0, 0, 0]
    render.refresh_from_db()
    assert (render.status, render.attempt, render.error_code) == ("failed", 3, "internal")
    assert render.error == "The render was interrupted 3 times and was given up. Its credit was given back."
    assert (api.credits(), refunds(render)) == (100, 1)
    assert statements.fail(render.id, attempt=3, error="again", code="internal") is None
    assert sweep() == 0
    assert (api.credits(), refunds(render)) == (100, 1)


def test_the_third_attempt_is_left_alone_while_its_lease_lasts(api, pending):
    render = pending()
    for _ in range(MAX_ATTEMPTS):
        taken = interrupt(render)
    assert statements.renew([(render.id, taken.attempt)], lease_seconds=LEASE) == {(render.id, 3)}
    assert sweep() == 0
    render.refresh_from_db()
    assert (render.status, api.credits(), refunds(render)) == ("running", 99, 0)


def test_without_redis_no_ring_is_used_up_and_credits_are_given_back_all_the_same(api, pending, settings):
    waiting, used_up = pending(), pending()
    for _ in range(MAX_ATTEMPTS):
        interrupt(used_up)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen; nor can anybody else there
        settings.REDIS_URL = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        with pytest.raises(redis.RedisError):
            sweep()
    used_up.refresh_from_db()
    waiting.refresh_from_db()
    assert (used_up.status, refunds(used_up)) == ("failed", 1)
    assert waiting.rings == 0


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wrong_clock_of_the_machine_changes_nothing(pending, days):
    late, early, held = pending(late=1), pending(late=-60), pending(late=-60)
    statements.claim(held.id, lease_seconds=LEASE)
    before = database_clock()
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(days=days)):
        assert sweep() == 1
        assert statements.claim(held.id, lease_seconds=LEASE) is None
        taken = statements.claim(early.id, lease_seconds=LEASE)
        assert statements.renew([(early.id, taken.attempt)], lease_seconds=LEASE) == {(early.id, 1)}
    late.refresh_from_db()
    early.refresh_from_db()
    assert late.rings == 1
    assert before <= early.started_at <= database_clock()
    assert early.started_at <= early.lease_expires_at - dt.timedelta(seconds=LEASE) <= database_clock()
