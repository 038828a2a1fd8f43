"""One fault at a time, in real processes: each render ends once, is charged once, has one file."""

import datetime as dt
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from automette.lib import store
from credits.models import CreditAccount, LedgerEntry
from renders import statements
from renders.leases import LeaseKeeper
from renders.models import Render, RenderFile
from renders.statements import StoredFile
from tests.conftest import wait_until
from tests.renders.faults import (
    LEASE_SECONDS,
    Caller,
    Installation,
    StoreGate,
    frozen_engine,
    has_status,
    is_alive,
    lapse,
    own_broker,
    own_database,
    row,
    store_gate,
    stored,
)

pytestmark = pytest.mark.timeout(300)
CALLERS = 60
"""Ten can publish at once, and a broker that hangs keeps each of them for five seconds: half a minute for all."""


@pytest.fixture(scope="module")
def gate(database):
    """What stands between the workers and the store."""
    with store_gate() as gate:
        yield gate


@pytest.fixture(scope="module")
def installation(database, gate, tmp_path_factory):
    """Web and sweeper; workers come with the fixture `worker`."""
    with own_database() as url, own_broker() as broker:
        installation = Installation(
            tmp_path_factory.mktemp("faults"), url, broker, LEASE_SECONDS=str(LEASE_SECONDS), S3_ENDPOINT_URL=gate.url
        )
        try:
            installation.sweeper()
            installation.web()
            yield installation
        finally:
            installation.stop()


@pytest.fixture
def worker(installation, gate):
    """The worker behind the open gate; a new one when the test before killed it."""
    gate.open()
    return installation.a_worker()


@pytest.fixture
def caller(installation, worker) -> Caller:
    """With 100 credits left, and an engine child that the worker keeps for its team."""
    caller = installation.team(credits=101)
    completed(caller.ask(), attempt=1)
    return caller


def completed(render_id: str, *, attempt: int, seconds: float = 60) -> RenderFile:
    """Wait for the end, then check charge, file and store; gives the file."""
    wait_until(lambda: row(render_id).is_finished, seconds)
    render = row(render_id)
    assert (render.status, render.attempt, render.error) == ("completed", attempt, None)
    assert charges(render_id) == [("charge", -1)]
    file = RenderFile.objects.get(render_id=render_id)
    assert stored(file.key).sha256 == file.sha256
    return file


def charges(render_id: str) -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.filter(render_id=render_id).values_list("kind", "amount"))


def running(render_id: str) -> Callable[[], bool]:
    return lambda: has_status(render_id, "running")


def test_twenty_messages_for_one_render_run_it_once(installation, worker, caller):
    with frozen_engine(worker), ThreadPoolExecutor(8) as threads:
        render_id = caller.ask()
        broker = Celery(broker=installation.broker.url, set_as_current=False)
        list(threads.map(lambda _: _ring(broker, render_id), range(20)))
        wait_until(running(render_id))
        # The worker's other threads find nothing to claim and go on.
        with installation.broker.client() as client:
            wait_until(lambda: client.llen("async") == 0)
    completed(render_id, attempt=1)
    assert CreditAccount.objects.get(team_id=caller.team_id).credit_balance == 99
    broker.close()


def _ring(broker: Celery, render_id: str) -> None:
    broker.send_task("renders.run_render", kwargs={"render_id": render_id}, queue="async", ignore_result=True)


def test_an_overtaken_attempt_changes_nothing(installation, api, accept):
    render = accept(api, api.template())
    late = statements.claim(render.id, lease_seconds=0)
    time.sleep(0.01)
    owner = statements.claim(render.id, lease_seconds=60)
    assert (late.attempt, owner.attempt) == (1, 2)
    assert statements.complete(owner, files=[_file(render, "a")], pages=1, report={}) is not None
    before = _whole(render)
    for taken in (late, owner):
        assert statements.complete(taken, files=[_file(render, "b")], pages=9, report={"warnings": ["late"]}) is None
        assert statements.fail(render.id, attempt=taken.attempt, error="late", code="internal") is None
        assert statements.give_back(taken, pause_seconds=0) is False
        assert statements.renew([(render.id, taken.attempt)], lease_seconds=60) == set()
    assert _whole(render) == before
    assert (api.credits(), charges(render.id)) == (99, [("charge", -1)])


def test_an_attempt_that_is_overtaken_cannot_take_the_render_from_its_new_owner(installation, api, accept):
    render = accept(api, api.template())
    late = statements.claim(render.id, lease_seconds=0)
    time.sleep(0.01)
    owner = statements.claim(render.id, lease_seconds=60)
    before = _whole(render)
    assert statements.complete(late, files=[_file(render, "b")], pages=9, report={}) is None
    assert statements.fail(render.id, attempt=late.attempt, error="late", code="internal") is None
    assert statements.give_back(late, pause_seconds=0) is False
    assert statements.renew([(render.id, 1), (render.id, 2)], lease_seconds=90) == {(render.id, 2)}
    assert _whole(render, without=("lease_expires_at", "ring_at")) == {
        name: value for name, value in before.items() if name not in {"lease_expires_at", "ring_at"}
    }
    assert statements.complete(owner, files=[_file(render, "a")], pages=1, report={}) is not None


def _file(render: Render, letter: str) -> StoredFile:
    return StoredFile(
        format="pdf", key=f"renders/{render.id}.pdf", media_type="application/pdf", size_bytes=1, sha256=letter * 64
    )


def _whole(render: Render, without: tuple[str, ...] = ()) -> dict[str, object]:
    values = Render.objects.filter(pk=render.pk).values().get()
    files = list(RenderFile.objects.filter(render_id=render.id).values())
    return {name: value for name, value in values.items() if name not in without} | {"files": files}


def test_nothing_is_stored_once_the_lease_is_over(installation, api, accept, settings):
    settings.LEASE_SECONDS = 1800  # and so its keeper renews nothing before this test is over
    keeper = LeaseKeeper()
    render = accept(api, api.template())
    asked = time.monotonic()
    taken = statements.claim(render.id, lease_seconds=60)
    connection.close()
    with keeper.holding(taken, since=asked - 3600):  # suspended for an hour before it read the claim's answer
        assert keeper.owned_until(taken) < time.monotonic()
        with pytest.raises(store.StoreUnavailableError):
            store.put("renders/late.pdf", b"late", "application/pdf", until=keeper.owned_until(taken))
    assert stored("renders/late.pdf") is None


def test_a_suspended_worker_that_comes_back_changes_nothing(installation, worker, gate: StoreGate, caller):
    gate.hold()
    render_id = caller.ask()
    wait_until(lambda: gate.held)  # its upload is under way, signed
    os.kill(worker.pid, signal.SIGSTOP)
    other = installation.worker(S3_ENDPOINT_URL=os.environ["S3_ENDPOINT_URL"], LEASE_SECONDS="60")
    try:
        file = completed(render_id, attempt=2)
        before = stored(file.key), _whole(row(render_id))
        gate.open()
        wait_until(lambda: gate.answers)
        assert gate.answers[0] in {400, 403}  # rclone's and Amazon's word for a signature that has expired
    finally:
        os.kill(worker.pid, signal.SIGCONT)
        below = installation.kill(other)
    given_back = f'"render_id": "{render_id}"'
    wait_until(lambda: [line for line in worker.log.read_text().splitlines() if given_back in line])
    assert (stored(file.key), _whole(row(render_id))) == before
    assert charges(render_id) == [("charge", -1)]
    completed(caller.ask(), attempt=1)  # and goes on with its work
    wait_until(lambda: not any(map(is_alive, below)))


def test_the_lease_of_a_long_render_is_renewed(worker, caller):
    with frozen_engine(worker):
        render_id = caller.ask()
        wait_until(running(render_id))
        renewed_twice = F("started_at") + dt.timedelta(seconds=1.5 * LEASE_SECONDS)
        wait_until(lambda: Render.objects.filter(pk=render_id, lease_expires_at__gt=renewed_twice).exists())
        assert Render.objects.filter(pk=render_id, status="running", attempt=1, lease_expires_at__gt=Now()).exists()
    completed(render_id, attempt=1)
    assert row(render_id).rings == 0


def test_a_render_whose_engine_child_was_killed_is_tried_again(installation, worker, caller):
    with frozen_engine(worker):
        render_id = caller.ask()
        (child,) = installation.engine_at_work(worker)["teams"][caller.team_id]
        os.kill(child, signal.SIGKILL)
    completed(render_id, attempt=2)


def test_a_render_whose_zygote_was_killed_is_tried_again(installation, worker, caller):
    with frozen_engine(worker), installation.suspended_sweeper():  # it rings for the next attempt: for a new zygote
        render_id = caller.ask()
        zygote = installation.engine_at_work(worker)["zygote_pid"]
        os.kill(zygote, signal.SIGKILL)
        wait_until(lambda: (now := installation.engine(worker)) and now["zygote_pid"] not in {None, zygote})
    completed(render_id, attempt=2)
    assert worker.poll() is None


def test_a_worker_killed_before_it_rendered_loses_nothing(installation, worker, caller):
    with frozen_engine(worker):
        render_id = caller.ask()
        wait_until(running(render_id))
        below = installation.kill(worker)
    lapse(render_id)
    installation.a_worker()
    completed(render_id, attempt=2)
    wait_until(lambda: not any(map(is_alive, below)))
    assert len(below) >= 2


def test_a_worker_killed_between_storing_and_finishing_loses_nothing(installation, worker, gate: StoreGate, caller):
    gate.hold_answers()
    render_id = caller.ask()
    key = f"renders/{render_id}.pdf"
    wait_until(lambda: stored(key))
    assert has_status(render_id, "running")
    assert not RenderFile.objects.filter(render_id=render_id).exists()
    below = installation.kill(worker)
    gate.open()
    lapse(render_id)
    installation.a_worker()
    assert completed(render_id, attempt=2).key == key
    assert RenderFile.objects.filter(key=key).count() == 1
    wait_until(lambda: not any(map(is_alive, below)))


def test_a_render_is_given_back_while_the_store_is_away(installation, worker, gate: StoreGate, caller):
    with installation.suspended_sweeper():  # who would ring for the next attempt a second later
        gate.closed = True
        render_id = caller.ask()
        wait_until(lambda: row(render_id).attempt == 1 and has_status(render_id, "pending"))
        gate.open()
    completed(render_id, attempt=2)


def test_accepts_without_redis_and_renders_once_it_is_back(installation, worker, caller):
    installation.broker.kill()
    try:
        render_ids = [caller.ask() for _ in range(5)]
    finally:
        installation.broker.start()
    for render_id in render_ids:
        completed(render_id, attempt=1)
    assert worker.poll() is None


def test_a_hanging_redis_holds_accepts_up_for_seconds_only(installation, worker, caller):
    os.kill(installation.broker.pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        with ThreadPoolExecutor(CALLERS) as threads:
            render_ids = list(threads.map(lambda _: caller.fresh().ask(), range(CALLERS)))
        seconds = time.monotonic() - begin
    finally:
        os.kill(installation.broker.pid, signal.SIGCONT)
    print(f"{CALLERS} accepts at once with a hanging Redis: {seconds:.1f} s")
    for render_id in render_ids:
        completed(render_id, attempt=1)
    assert seconds < 25
