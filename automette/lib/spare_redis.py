"""Redis for what a request can do without: an answer within a quarter of a second, or none.

A Redis that refuses connections costs a request nothing to speak of, one that hangs costs the first request a quarter
of a second. After that it is left alone for some seconds, and then one request tries again while the others pass.
"""

import functools
import threading
import time
from typing import Any, Final

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 5.0


class SpareRedis:
    """The connections of one process, and whether asking is worth while (a circuit breaker)."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._lock = threading.Lock()
        self._away = False
        self._next_try = 0.0

    def run(self, script: str, *, keys: tuple[str, ...], args: tuple[str | float, ...]) -> Any:
        """Run a Lua script in one round trip and return its answer; None when there was none."""
        if not self._worth_while():
            return None
        try:
            answer = self._registered(script)(keys=keys, args=args)
        except (redis.RedisError, OSError) as error:
            self._failed(error)
            return None
        if self._away:
            self._recovered()
        return answer

    @functools.lru_cache(maxsize=16)  # noqa: B019 (there is one per process)
    def _registered(self, script: str) -> Any:
        return self._client.register_script(script)

    def _worth_while(self) -> bool:
        if not self._away:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + PAUSE_SECONDS  # this one tries, the others wait for what comes of it
            return True

    def _failed(self, error: Exception) -> None:
        with self._lock:
            first, self._away = not self._away, True
            self._next_try = time.monotonic() + PAUSE_SECONDS
        if first:
            log.warning("limits_not_counted", error=type(error).__name__)
        self._client.connection_pool.disconnect(inuse_connections=False)  # those of a Redis that was

    def _recovered(self) -> None:
        with self._lock:
            back, self._away = self._away, False
        if back:
            log.info("limits_counted_again")


@functools.lru_cache(maxsize=4)
def _at(url: str) -> SpareRedis:
    return SpareRedis(url)


def spare_redis() -> SpareRedis:
    """Return this process's connections to REDIS_URL."""
    return _at(settings.REDIS_URL)
