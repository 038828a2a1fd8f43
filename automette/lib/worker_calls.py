"""Asking a worker something and waiting for the answer: the web processes have no engines of their own.

Only questions that change nothing, or nothing that a repeat would not change as well: the answer may be lost, and a
worker that dies leaves the question to the next one. Files travel through the object store, never through Redis.
"""

import json
import time
from typing import Any, Final

import redis
import structlog
from celery import Task, states
from django.conf import settings
from django.db import connection

from automette.lib.errors import DomainError
from automette.lib.ids import new_id
from automette.lib.tasks import send
from automette.lib.wakeup import waiter

log = structlog.get_logger(__name__)

_RESULT_PREFIX: Final = "celery-task-meta-"
_POLL_SECONDS: Final = 2  # a wake-up is lost when Redis restarts; the answer may be there all the same


class WorkerUnavailableError(DomainError):
    """No worker answered in time; the same call may succeed later."""

    code = "worker_unavailable"

    def __init__(self) -> None:
        super().__init__("No worker could look at it just now. Try again in a moment.")


def call(task: Task, *, queue: str, kwargs: dict[str, Any], seconds: float) -> Any:
    """Run a task in a worker and return its (JSON) result. Not to be called inside a transaction.

    Raises WorkerUnavailableError when there is no answer within `seconds`; a worker that comes to the message later
    drops it. No database connection is held while waiting, and no more threads wait than may for sync renders.
    """
    if waiter.waiting() >= settings.SYNC_WAITERS:
        raise WorkerUnavailableError
    task_id, answered = waiter.expect(new_id())
    deadline = time.monotonic() + seconds
    try:
        if not send(task, queue=queue, kwargs=kwargs, task_id=task_id, with_result=True, expires=seconds):
            raise WorkerUnavailableError
        connection.close()  # back to the pool
        while (left := deadline - time.monotonic()) > 0:
            answered.wait(min(left, _POLL_SECONDS))
            answer = _answer(task, task_id)
            if answer is not None:
                return answer["result"]
    finally:
        waiter.forget(task_id)
    log.warning("worker_did_not_answer", task=task.name, seconds=seconds)
    raise WorkerUnavailableError


def _answer(task: Task, task_id: str) -> dict[str, Any] | None:
    """Return what the worker has stored, None while there is nothing; raises WorkerUnavailableError if it failed.

    Celery's own backend would keep a connection for every thread that ever asked.
    """
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            stored: Any = client.get(f"{_RESULT_PREFIX}{task_id}")
    except (redis.RedisError, OSError):
        time.sleep(0.1)  # the wake-up may have been heard already: without a pause this would spin
        return None
    if stored is None:
        return None
    answer: dict[str, Any] = json.loads(stored)
    if answer["status"] != states.SUCCESS:  # an unforeseen exception: the worker's log tells
        log.error("worker_call_failed", task=task.name, status=answer["status"])
        raise WorkerUnavailableError
    return answer
