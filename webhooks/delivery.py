"""What a worker does with a delivery: claim, send, record, and go on with the next one of the same receiver."""

import time
from typing import Final

import structlog
from django.db import connection

from automette.lib import counters
from webhooks import sending, statements, turns
from webhooks.statements import Claim

log = structlog.get_logger(__name__)

_TURN_SECONDS: Final = 1.0
_STALE_AFTER: Final = statements.LEASE_MARGIN_SECONDS / 2
_TRIES: Final = 10


def deliver(delivery_id: str) -> str | None:
    """Make the attempt that is due. A repeat call finds nothing to claim and does nothing.

    Whoever has made an attempt goes on with what is due (`webhooks.turns`). After a second of that it is the turn of
    others: then the next one's id is returned, to be rung for, and stands behind everybody else's messages.
    """
    began = asked = time.monotonic()
    taken = statements.claim(delivery_id)
    while taken is not None:
        connection.close()  # nothing of the database is held while a receiver takes its time
        if time.monotonic() - asked > _STALE_AFTER:  # this process was suspended: the lease may end during the call
            log.warning("delivery_claim_is_stale", delivery_id=taken.delivery_id)
            return None
        result = sending.send(taken)
        counters.count_webhook_attempt(result.error_code)
        statements.record(taken, result)
        if time.monotonic() - began >= _TURN_SECONDS:
            return _hand_over(taken)
        asked = time.monotonic()
        taken = _claim_next(taken)
    return None


def _claim_next(ended: Claim) -> Claim | None:
    """Claim what is due. Others may have done so first, or have taken the place: each of them goes on like this."""
    tried = None
    for _ in range(_TRIES):
        next_id = _next_due(ended)
        if next_id is None or next_id == tried:
            return None
        taken = statements.claim(next_id)
        if taken is not None:
            return taken
        tried = next_id
    return None


def _hand_over(ended: Claim) -> str | None:
    next_id = _next_due(ended)
    return turns.put_to_the_end(team_id=ended.team_id, delivery_id=next_id) if next_id else None


def _next_due(ended: Claim) -> str | None:
    return turns.next_due(team_id=ended.team_id, receiver=ended.receiver, subscription_id=ended.subscription_id)
