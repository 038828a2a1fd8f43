"""What the workers report of themselves, for `/readyz` and `/metrics`: one short-lived Redis key per process."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis
import structlog
from django.conf import settings

from automette.lib import counters

log = structlog.get_logger(__name__)

_PREFIX: Final = "automette:worker:"
_SENDERS: Final = "automette:sender:"
_EVERY_SECONDS: Final = 5
_LIFE_SECONDS: Final = 20


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def report_for_ever(read: Callable[[], dict[str, Any]], *, libreoffice: bool) -> None:
    """Start a daemon thread that writes this process's report every five seconds."""
    counters.start(read())
    _write_for_ever(_PREFIX, lambda: {"engines": read(), "libreoffice": libreoffice, "counted": counters.samples()})


def report_sender_for_ever() -> None:
    """Do the same for a process that sends webhooks and renders nothing."""
    counters.start_webhooks()
    _write_for_ever(_SENDERS, lambda: {"counted": counters.samples()})


def _write_for_ever(prefix: str, make: Callable[[], dict[str, Any]]) -> None:
    def run() -> None:
        name = f"{prefix}{socket.gethostname()}:{os.getpid()}"
        while True:
            report = make()
            try:
                with _client() as client:
                    client.set(name, json.dumps(report, default=str), ex=_LIFE_SECONDS)
            except redis.RedisError as error:
                log.warning("worker_report_failed", error=type(error).__name__)
            time.sleep(_EVERY_SECONDS)

    threading.Thread(target=run, name="worker-status", daemon=True).start()


def workers() -> dict[str, dict[str, Any]]:
    """Return the reports of the workers that render and are alive, by `host:process id`; raises RedisError."""
    return _read(_PREFIX)


def senders() -> dict[str, dict[str, Any]]:
    """Return the reports of the processes that send webhooks, as `workers` does."""
    return _read(_SENDERS)


def _read(prefix: str) -> dict[str, dict[str, Any]]:
    with _client() as client:
        keys = sorted(client.scan_iter(f"{prefix}*", count=1000))
        values = client.mget(keys) if keys else []
    return {
        key.decode().removeprefix(prefix): json.loads(value)
        for key, value in zip(keys, values, strict=True)
        if value  # it may have expired in between
    }
