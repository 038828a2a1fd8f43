"""What a worker does with a delivery: claim, send, record, and go on with the next one of the same receiver."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

import structlog
from django.db import connection

from automette.lib import counters
from webhooks import sending, statements, turns

log = structlog.get_logger(__name__)

_TURN_SECONDS: Final = 1.0
_STALE_AFTER: Final = statements.LEASE_MARGIN_SECONDS / 2
# Dozens of threads that want to work at once hinder each other, because Python lets one run at a time: so few are at
# the rows. Who has made an attempt does not queue up behind those whose message may be for nothing.
_beginning: Final = threading.BoundedSemaphore(2)
_ending: Final = threading.BoundedSemaphore(2)


def deliver(delivery_id: str) -> str | None:
    """Make the attempt that is due. A repeat call finds nothing to claim and does nothing.

    Whoever has made an attempt goes on with what is due (`webhooks.turns`). After a second of that it is the turn of
    others: then the next one's id is returned, to be rung for, and stands behind everybody else's messages.
    """
    began = time.monotonic()
    with _at_the_rows(_beginning):
        asked = time.monotonic()
        taken = statements.claim(delivery_id)
    while taken is not None:
        if time.monotonic() - asked > _STALE_AFTER:  # this process was suspended: the lease may end during the call
            log.warning("delivery_claim_is_stale", delivery_id=taken.delivery_id)
            return None
        result = sending.send(taken)
        counters.count_webhook_attempt(result.error_code)
        with _at_the_rows(_ending):
            statements.record(taken, result)
            if time.monotonic() - began >= _TURN_SECONDS:
                return turns.hand_over(
                    team_id=taken.team_id, receiver=taken.receiver, subscription_id=taken.subscription_id
                )
            asked = time.monotonic()
            taken = statements.claim_next(taken)
    return None


@contextlib.contextmanager
def _at_the_rows(places: threading.BoundedSemaphore) -> Iterator[None]:
    """Wait for a place; afterwards no connection is held: a receiver may take its time."""
    with places:
        try:
            yield
        finally:
            connection.close()
