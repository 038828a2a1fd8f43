"""Waiting for a task's result without polling: one Redis subscription per process wakes every waiting thread.

Celery's Redis result backend publishes each result on `celery-task-meta-<task id>`. Task ids of this process start
with its own token, so one pattern subscription, made once, covers them all: no subscription per request, and no
race between publishing and subscribing. A message may be lost (Redis restarts): callers poll their row as well.
"""

import os
import secrets
import threading
import time
from typing import Final

import redis
import structlog
from celery.backends.redis import RedisBackend
from django.conf import settings

log = structlog.get_logger(__name__)
_PREFIX: Final = "celery-task-meta-"


class PublishingBackend(RedisBackend):
    """Celery's Redis result backend without its own subscriptions: those open two connections per waiting thread."""

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Do not subscribe: the waiter below has already."""


class ResultWaiter:
    """The listener of one process; started with the first waiter, again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, threading.Event] = {}
        self._pid = 0
        self._token = ""
        self._subscribed = threading.Event()

    def expect(self, name: str) -> tuple[str, threading.Event]:
        """Return a task id for `name` and the event that is set when that task has a result."""
        self._start_once()
        task_id = f"{self._token}.{name}"
        event = self._events[task_id] = threading.Event()
        return task_id, event

    def forget(self, task_id: str) -> None:
        """Stop waiting for a task."""
        self._events.pop(task_id, None)

    def waiting(self) -> int:
        """Return how many threads wait."""
        return len(self._events)

    def _start_once(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._events = {}
            self._token = secrets.token_hex(8)
            self._subscribed.clear()
            threading.Thread(target=self._listen, name="result-waiter", daemon=True).start()
            self._subscribed.wait(timeout=2)
            self._pid = os.getpid()

    def _listen(self) -> None:
        client = redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=2, socket_keepalive=True, health_check_interval=15
        )
        while True:
            try:
                with client.pubsub(ignore_subscribe_messages=True) as subscription:  # type: ignore[no-untyped-call]
                    subscription.psubscribe(f"{_PREFIX}{self._token}.*")
                    self._subscribed.set()
                    while True:
                        message = subscription.get_message(timeout=10)
                        if message:
                            self._wake(message["channel"])
            except (redis.RedisError, OSError) as error:
                log.warning("result_listener_reconnects", error=type(error).__name__)
                time.sleep(0.5)

    def _wake(self, channel: bytes) -> None:
        event = self._events.pop(channel.decode().removeprefix(_PREFIX), None)
        if event:
            event.set()


waiter: Final = ResultWaiter()
