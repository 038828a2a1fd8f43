"""What a worker does with a delivery: claim, send, record, and go on with the next one of the same receiver.

The task of a message ends with the claim. The rest happens on the event loop of `webhooks.sending`, where a receiver
that hangs occupies a socket and no thread; only for the rows there are a few threads.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from automette.lib import counters
from webhooks import sending, statements, turns

log = structlog.get_logger(__name__)

_TURN_SECONDS: Final = 1.0
_STALE_AFTER: Final = statements.LEASE_MARGIN_SECONDS / 2
_LAST_SECONDS: Final = 5  # that recording may take after the deadline of the call
_places: Final = threading.BoundedSemaphore(settings.WEBHOOK_CALLS_PER_PROCESS)
_under_way: Final[set[futures.Future[None]]] = set()
is_ending: Final = threading.Event()
"""Set once this process is about to end: what would come after the calls under way is rung for instead."""


def deliver(delivery_id: str, *, ring: Callable[[str], None]) -> futures.Future[None] | None:
    """Take the attempt that is due and let it go on by itself; None when there is nothing to claim.

    Whoever has made an attempt goes on with what is due (`webhooks.turns`). After a second of that it is the turn of
    others: then `ring` gets the next one's id, to put it behind everybody else's messages. While as many calls are
    under way as the process may have, this waits.
    """
    with contextlib.ExitStack() as place:
        place.enter_context(_places)
        asked = time.monotonic()
        taken = statements.claim(delivery_id)
        if taken is None:
            return None
        call = sending.sender.start(_work_off(taken, asked, ring))
        place.pop_all()  # it is the call's now
    _under_way.add(call)
    call.add_done_callback(_ended)
    return call


def finish() -> None:
    """Wait for the calls under way before the process ends."""
    is_ending.set()
    futures.wait(list(_under_way), settings.WEBHOOK_SECONDS + _LAST_SECONDS)


async def _work_off(taken: statements.Claim | None, asked: float, ring: Callable[[str], None]) -> None:
    began = time.monotonic()
    while taken is not None:
        if time.monotonic() - asked > _STALE_AFTER:  # this process was suspended: the lease may end during the call
            log.warning("delivery_claim_is_stale", delivery_id=taken.delivery_id)
            return
        result = await sending.send(taken)
        counters.count_webhook_attempt(result.error_code)
        if is_ending.is_set() or time.monotonic() - began >= _TURN_SECONDS:
            await sending.sender.at_the_rows(functools.partial(_record_and_ring, taken, result, ring))
            return
        asked, taken = await sending.sender.at_the_rows(functools.partial(_record_and_claim, taken, result))


def _record_and_claim(taken: statements.Claim, result: statements.Result) -> tuple[float, statements.Claim | None]:
    try:
        statements.record(taken, result)
        return time.monotonic(), statements.claim_next(taken)
    finally:
        connection.close()  # back to the pool


def _record_and_ring(taken: statements.Claim, result: statements.Result, ring: Callable[[str], None]) -> None:
    try:
        statements.record(taken, result)
        next_id = turns.hand_over(
            team_id=taken.team_id, receiver=taken.receiver, subscription_id=taken.subscription_id
        )
    finally:
        connection.close()
    if next_id:
        ring(next_id)


def _ended(call: futures.Future[None]) -> None:
    _under_way.discard(call)
    _places.release()
    if not call.cancelled() and (error := call.exception()):  # its lease ends, and the sweeper rings again
        log.error("delivery_broke", exc_info=error)
