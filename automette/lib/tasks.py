"""Sending Celery messages after the commit, and never failing a request because the broker is away."""

from typing import Any

import structlog
from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


def send(
    task: Task, *, queue: str, kwargs: dict[str, Any], task_id: str | None = None, with_result: bool = False
) -> bool:
    """Publish now; return whether the broker took it. A refusal is logged: the sweeper rings again."""
    try:
        task.apply_async(kwargs=kwargs, queue=queue, task_id=task_id, ignore_result=not with_result)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("publish_failed", task=task.name, queue=queue, error=type(error).__name__)
        return False
    return True


def send_after_commit(
    task: Task, *, queue: str, kwargs: dict[str, Any], task_id: str | None = None, with_result: bool = False
) -> None:
    """Publish once the present transaction is committed (at once when there is none)."""

    def publish() -> None:  # an inner def: Django 5.2 does not make a partial robust
        send(task, queue=queue, kwargs=kwargs, task_id=task_id, with_result=with_result)

    transaction.on_commit(publish, robust=True)
