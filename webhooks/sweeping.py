"""Ringing for deliveries: those whose next attempt is due, whose message was lost, or whose sender died.

Any number of sweepers may run: rows are taken with SKIP LOCKED. What waits although it is due is rung for less and
less often, up to ten minutes. Of a receiver with many deliveries that are due only as many are rung for in a round as
may be called at once: who has made such a call goes on with the others.
"""

from typing import Any, Final

import redis
import structlog
from django.conf import settings
from django.db import connection

from webhooks.ringing import ring

log = structlog.get_logger(__name__)

QUEUE: Final = "webhooks"
_LONG_QUEUE: Final = 200
_BATCH: Final = 1000

# While the queue still holds many messages, a row that has not waited long most likely has one of them.
_DUE: Final = """
WITH due AS (
    SELECT id, team_id, receiver FROM webhooks_delivery
    WHERE status IN ('pending', 'sending') AND ring_at <= statement_timestamp()
        AND NOT (%(is_long)s::boolean AND status = 'pending'
            AND next_attempt_at > statement_timestamp() - interval '1 minute')
    ORDER BY ring_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), ranked AS (
    SELECT id, row_number() OVER (PARTITION BY team_id, receiver ORDER BY id) AS place FROM due
), pushed AS (
    UPDATE webhooks_delivery AS delivery
    SET ring_at = statement_timestamp() + greatest(interval '10 seconds', least(interval '10 minutes',
        statement_timestamp() - coalesce(delivery.lease_expires_at, delivery.next_attempt_at)))
    FROM due WHERE delivery.id = due.id
)
SELECT id FROM ranked WHERE place <= %(of_receiver)s ORDER BY id
"""


def sweep() -> int:
    """Do one round; return how many deliveries were rung for. Raises DatabaseError and RedisError."""
    values = {
        "is_long": _queue_length() > _LONG_QUEUE,
        "batch": _BATCH,
        "of_receiver": settings.WEBHOOK_CALLS_PER_RECEIVER,
    }
    due = [delivery_id for (delivery_id,) in _query(_DUE, values)]
    ring(due)
    if due:
        log.info("deliveries_rung", count=len(due))
    return len(due)


def _queue_length() -> int:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        length: Any = client.llen(QUEUE)
        return int(length)


def _query(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
