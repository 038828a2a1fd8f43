"""Sending Celery messages after the commit, and never failing a request because the broker is away."""

import threading
from typing import Any, Final

import structlog
from celery import Task
from django.db import connection, transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

# As many as Celery has connections for publishing. While a hanging broker occupies them all, nobody queues up
# behind them: with it the wait would be five seconds for every ten callers.
_publishing: Final = threading.BoundedSemaphore(10)
_PATIENCE_SECONDS: Final = 0.5


def send(
    task: Task,
    *,
    queue: str,
    kwargs: dict[str, Any],
    task_id: str | None = None,
    with_result: bool = False,
    expires: float | None = None,
) -> bool:
    """Publish now; return whether the broker took it. A refusal is logged: the sweeper rings again.

    A worker that comes to the message after `expires` seconds drops it.
    """
    if not connection.in_atomic_block:
        connection.close()  # back to the pool: a broker that hangs must not use the database up
    if not _publishing.acquire(timeout=_PATIENCE_SECONDS):
        log.warning("publish_skipped", task=task.name, queue=queue)
        return False
    try:
        options: dict[str, Any] = {} if expires is None else {"expires": expires}
        task.apply_async(kwargs=kwargs, queue=queue, task_id=task_id, ignore_result=not with_result, **options)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("publish_failed", task=task.name, queue=queue, error=type(error).__name__)
        return False
    finally:
        _publishing.release()
    return True


def send_after_commit(task: Task, *, queue: str, kwargs: dict[str, Any]) -> None:
    """Publish once the present transaction is committed (at once when there is none)."""

    def publish() -> None:  # an inner def: Django 5.2 does not make a partial robust
        send(task, queue=queue, kwargs=kwargs)

    transaction.on_commit(publish, robust=True)
