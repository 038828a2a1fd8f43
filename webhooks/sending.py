"""One POST to a receiver: its bytes, and what came of it in words.

All calls of a process share one event loop with one guarded client (`automette.lib.outbound`), because only there one
deadline holds for all that a receiver may do. A connection is used once: a POST on one that the receiver is just
closing would fail.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog
from django.conf import settings
from django.utils import timezone

from automette.lib.outbound import OutboundClient, OutboundError, Response
from webhooks import signing
from webhooks.models import MAX_ANSWER_BYTES
from webhooks.schedule import read_retry_after
from webhooks.statements import Claim, Result

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

USER_AGENT: Final = "Automette-Webhooks/1"
_ROWS_AT_ONCE: Final = 2  # more threads would hinder each other: Python lets one run at a time
_SLOW_DOWN: Final = frozenset({429, 503})
_GONE: Final = 410


class Sender:
    """The event loop of this process and its client, started with the first call, again after a fork.

    `client` are the arguments of OutboundClient, for tests.
    """

    def __init__(self, **client: Any) -> None:
        self._arguments = client
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop
        self._client: OutboundClient
        self._rows: ThreadPoolExecutor

    def start(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        """Let this run on the loop, from any thread, and return at once."""
        self._start_once()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, seconds: float) -> Response:
        """Send the request and return the answer; raises OutboundError, at the deadline at the latest."""
        return await self._client.request(
            "POST", url, seconds=seconds, keep_bytes=MAX_ANSWER_BYTES, headers=headers, body=body
        )

    async def at_the_rows(self, work: Callable[[], _T]) -> _T:
        """Run this in one of the threads for the database."""
        return await self._loop.run_in_executor(self._rows, work)

    def close(self) -> None:
        """Break off what is under way and end the loop; another call starts anew."""
        with self._lock:
            if self._pid == os.getpid():
                self._pid = 0
                asyncio.run_coroutine_threadsafe(self._client.__aexit__(None, None, None), self._loop).result(5)
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
                self._rows.shutdown()

    def _start_once(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="webhook-sender", daemon=True)
            self._thread.start()
            self._rows = ThreadPoolExecutor(_ROWS_AT_ONCE, thread_name_prefix="webhook-rows")
            self._client = OutboundClient(**self._arguments)
            asyncio.run_coroutine_threadsafe(self._client.__aenter__(), self._loop).result()
            self._pid = os.getpid()


sender = Sender()


async def send(taken: Claim) -> Result:
    """Make the attempt; whatever the receiver does, there is a result within WEBHOOK_SECONDS.

    Raises automette.lib.encryption.DecryptionError when the subscription's secret cannot be read: that is the
    operator's fault, not the receiver's.
    """
    body = taken.body.encode()
    headers = headers_of(taken, body)
    began = time.monotonic()
    try:
        answer = await sender.post(taken.url, headers=headers, body=body, seconds=settings.WEBHOOK_SECONDS)
    except OutboundError as error:
        return _failed(error.code, error.message, began=began)
    except Exception:  # what a receiver can make the HTTP library raise is a failed attempt, or it is sent for ever
        log.exception("webhook_attempt_broke", delivery_id=taken.delivery_id)
        return _failed("internal", "The attempt failed on our side. It is tried again.", began=began)
    return _judged(answer)


def headers_of(taken: Claim, body: bytes) -> dict[str, str]:
    """Return all headers that are ours to set; the timestamp is this attempt's, so each has its own signature."""
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": taken.event_id,
        "webhook-timestamp": str(timestamp),
    }
    if taken.subscription_id:
        secrets = signing.secrets_of(
            subscription_id=taken.subscription_id,
            secret=taken.secret,
            previous_secret=taken.previous_secret,
            previous_secret_until=taken.previous_secret_until,
            now=timezone.now(),
        )
        headers["webhook-signature"] = signing.sign(
            secrets, taken.event_id, timestamp, body, raw_key=taken.is_raw_key
        )
    return headers


def _judged(answer: Response) -> Result:
    text = answer.body.decode(errors="replace").replace("\0", "")
    retry_after = None
    if 200 <= answer.status < 300:  # noqa: PLR2004 (2xx)
        code, error = "", None
    elif 300 <= answer.status < 400:  # noqa: PLR2004 (3xx)
        code, error = "redirect", f"The receiver answered {answer.status}; redirects are not followed."
    elif answer.status == _GONE:
        code, error = "gone", "The receiver answered 410: it wants no more deliveries."
    else:
        code, error = "http_error", f"The receiver answered {answer.status}."
        if answer.status in _SLOW_DOWN:
            retry_after = read_retry_after(answer.headers.get("Retry-After"), now=time.time())
    return Result(
        http_status=answer.status,
        milliseconds=answer.milliseconds,
        answer=text,
        error=error,
        error_code=code,
        retry_after=retry_after,
        is_gone=answer.status == _GONE,
    )


def _failed(code: str, message: str, *, began: float) -> Result:
    milliseconds = round((time.monotonic() - began) * 1000)
    return Result(http_status=None, milliseconds=milliseconds, error=message[:500], error_code=code)
