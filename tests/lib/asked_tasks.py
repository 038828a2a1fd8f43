"""Tasks that tests ask a worker of their own: `celery -A tests.lib.asked_tasks worker`."""

import os
import time

import redis
from celery import shared_task

from automette.celery import app

__all__ = ["app"]


@shared_task(name="tests.echo", ignore_result=False)
def echo(*, value):
    return value


@shared_task(name="tests.pause", ignore_result=False)
def pause(*, seconds):
    time.sleep(seconds)
    return "rested"


@shared_task(name="tests.fail", ignore_result=False)
def fail():
    raise ValueError("the cause, for the log only")


@shared_task(name="tests.note", ignore_result=False)
def note(*, name, value):
    """Add to a list in Redis, so that a test can see whether this ran."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush(name, value)
        return [each.decode() for each in client.lrange(name, 0, -1)]
