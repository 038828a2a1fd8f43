"""Questions to a real worker, and what comes of them when it is late, failing or not there."""

import gc
import threading
import time

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections

from automette.lib.ids import new_id
from automette.lib.tasks import send
from automette.lib.wakeup import waiter
from automette.lib.worker_calls import WorkerUnavailableError, call
from tests.conftest import Processes, wait_until
from tests.lib.asked_tasks import echo, fail, note, rest, wake


@pytest.fixture(scope="module")
def start_worker(test_environment, tmp_path_factory):
    """Start a worker for the tasks of these tests on this queue; gives the queue."""
    started = Processes(tmp_path_factory.mktemp("asked"))

    def start(queue: str, concurrency: int = 1) -> str:
        flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        arguments = ["-m", "celery", "-A", "tests.lib.asked_tasks", "worker", "--pool", "threads"]
        arguments += ["--concurrency", str(concurrency), "-Q", queue, "-n", f"{queue}@%h"]
        started.start(queue, *arguments, *flags)
        return queue

    yield start
    started.stop()


@pytest.fixture(scope="module")
def queue(start_worker):
    queue = start_worker("asked", concurrency=2)
    assert call(echo, queue=queue, kwargs={"value": "up"}, seconds=100) == "up"
    return queue


@pytest.mark.parametrize("value", ["text", None, 1.5, [], {"a": [1, None, "ü\u0000"]}])
def test_answer_is_what_the_task_returned(queue, value):
    before = waiter.waiting()  # threads that tests before this one have left behind
    assert call(echo, queue=queue, kwargs={"value": value}, seconds=60) == value
    assert waiter.waiting() <= before


def test_many_threads_get_each_their_own_answer(queue):
    answers = {}

    def ask(number):
        answers[number] = call(echo, queue=queue, kwargs={"value": number}, seconds=60)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(20)}


def test_without_a_worker_it_is_unavailable_when_the_time_is_over(database):
    before, started = waiter.waiting(), time.monotonic()
    with pytest.raises(WorkerUnavailableError, match="Try again in a moment"):
        call(echo, queue=new_id(), kwargs={"value": 1}, seconds=0.5)
    assert 0.5 <= time.monotonic() - started < 30
    assert waiter.waiting() <= before


def test_late_answer_is_ignored_and_the_next_question_gets_its_own(queue):
    name = new_id()
    with pytest.raises(WorkerUnavailableError):
        call(rest, queue=queue, kwargs={"name": name}, seconds=0.3)
    wake(name)
    assert call(echo, queue=queue, kwargs={"value": "mine"}, seconds=60) == "mine"


def test_worker_drops_a_question_that_nobody_waits_for_any_more(start_worker):
    """The control is the message in between, which does not expire: it runs, though as late."""
    queue = f"late-{new_id()}"
    notes = f"notes-{queue}"
    with pytest.raises(WorkerUnavailableError):
        call(note, queue=queue, kwargs={"name": notes, "value": "expired"}, seconds=0.2)
    assert send(note, queue=queue, kwargs={"name": notes, "value": "unhurried"})
    start_worker(queue)
    assert call(note, queue=queue, kwargs={"name": notes, "value": "asked"}, seconds=100) == ["unhurried", "asked"]


def test_exception_of_the_task_is_unavailable_and_stays_in_the_workers_log(queue):
    with pytest.raises(WorkerUnavailableError) as refused:
        call(fail, queue=queue, kwargs={}, seconds=60)
    assert "cause" not in str(refused.value)


def test_no_database_connection_is_held_while_waiting(queue):
    def lent() -> int:
        connection.close()
        stats = connection.pool.get_stats()
        return stats["pool_size"] - stats["pool_available"]

    asked, hold, name, held = threading.Event(), threading.Event(), new_id(), []

    def ask():
        connection.ensure_connection()
        held.append(connections[DEFAULT_DB_ALIAS])  # this thread's own
        asked.set()
        hold.wait(60)
        call(rest, queue=queue, kwargs={"name": name}, seconds=60)

    gc.collect()  # what threads of tests before this one have left behind does not come back in between
    others, waiting = lent(), waiter.waiting()
    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(60)
    with_it, has_one = lent(), held[0].connection is not None
    hold.set()
    assert (with_it, has_one) == (others + 1, True)  # the control: before it waits, it has one
    wait_until(lambda: waiter.waiting() == waiting + 1)
    wait_until(lambda: lent() <= others and held[0].connection is None)
    assert thread.is_alive()  # it waits for what nobody has woken yet
    wake(name)
    thread.join(60)
    assert not thread.is_alive()


def test_no_more_threads_wait_than_may(queue, settings):
    settings.SYNC_WAITERS = 0
    with pytest.raises(WorkerUnavailableError):
        call(echo, queue=queue, kwargs={"value": 1}, seconds=60)
