"""Tasks that tests ask a worker of their own: `celery -A tests.lib.asked_tasks worker`."""

import os

import redis
from celery import shared_task

from automette.celery import app

__all__ = ["app"]


@shared_task(name="tests.echo", ignore_result=False)
def echo(*, value):
    return value


@shared_task(name="tests.rest", ignore_result=False)
def rest(*, name):
    """Rest until `wake` is called with this name, which a test does when it has seen what it wanted."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.blpop(name, timeout=100)
    return "rested"


def wake(name):
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush(name, "up")


@shared_task(name="tests.fail", ignore_result=False)
def fail():
    raise ValueError("the cause, for the log only")


@shared_task(name="tests.note", ignore_result=False)
def note(*, name, value):
    """Add to a list in Redis, so that a test can see whether this ran."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.rpush(name, value)
        return [each.decode() for each in client.lrange(name, 0, -1)]
