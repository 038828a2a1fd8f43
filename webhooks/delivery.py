"""What a worker does with a delivery: claim, send, record, and go on with the next one of the same receiver."""

import time
from typing import Final

import structlog
from django.db import connection

from automette.lib import counters
from webhooks import sending, statements

log = structlog.get_logger(__name__)

_TURN_SECONDS: Final = 1.0
_STALE_AFTER: Final = statements.LEASE_MARGIN_SECONDS / 2


def deliver(delivery_id: str) -> str | None:
    """Make the attempt that is due. A repeat call finds nothing to claim and does nothing.

    Messages for a receiver that has as many calls as it may are dropped, so who ends such a call goes on with what
    waits. After a second of that it is the turn of others: then the next one's id is returned, to be rung for, and
    stands behind the messages of everybody else.
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
        asked = time.monotonic()
        if asked - began >= _TURN_SECONDS:
            return statements.record(taken, result)
        taken = statements.record_and_claim_next(taken, result)
    return None
