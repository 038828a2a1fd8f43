"""A message must not be sent for a row that is not there yet, and a broker that is away fails no request."""

import os

import redis
from django.db import transaction

from automette.lib.ids import new_id
from automette.lib.tasks import send, send_after_commit
from renders.tasks import run_render


def waiting(queue: str) -> int:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return client.llen(queue)


def test_message_is_sent_when_the_transaction_is_committed(database):
    queue = new_id()
    with transaction.atomic():
        send_after_commit(run_render, queue=queue, kwargs={"render_id": "x"})
        assert waiting(queue) == 0
    assert waiting(queue) == 1


def test_no_message_is_sent_when_it_is_rolled_back(database):
    queue = new_id()
    with transaction.atomic():
        send_after_commit(run_render, queue=queue, kwargs={"render_id": "x"})
        transaction.set_rollback(True)
    assert waiting(queue) == 0


def test_outside_of_a_transaction_it_is_sent_at_once(database):
    queue = new_id()
    send_after_commit(run_render, queue=queue, kwargs={"render_id": "x"})
    assert waiting(queue) == 1
    assert send(run_render, queue=queue, kwargs={"render_id": "x"})
    assert waiting(queue) == 2
