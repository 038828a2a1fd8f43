"""Ringing again for renders that did not start or whose worker died; ending those that used up their attempts.

Any number of sweepers may run: rows are taken with SKIP LOCKED. A row is rung again after 5 s, then 10, 20, 40,
60 s. A render that only waits its turn in a long queue would be rung needlessly, so while its queue still holds
many messages, only rows of more than a minute are. Throttled renders are rung for when their team has a free place.
"""

from typing import Any, Final

import redis
import structlog
from django.conf import settings
from django.db import connection

from automette.lib.tasks import send
from credits.limits import limits_of
from renders import shares, statements
from renders.models import MAX_ATTEMPTS
from renders.tasks import run_render
from webhooks.ringing import ring

log = structlog.get_logger(__name__)

_LONG_QUEUE: Final = 50
_BATCH: Final = 300
_BOUNDS: Final = {"max_attempts": MAX_ATTEMPTS, "batch": _BATCH}

_DUE: Final = """
UPDATE renders_render AS render
SET rings = least(render.rings + 1, 1000),
    ring_at = statement_timestamp() + make_interval(secs => least(60, 5 * power(2, least(render.rings, 4))))
FROM (
    SELECT id FROM renders_render
    WHERE status IN ('pending', 'running') AND ring_at < statement_timestamp()
        AND NOT (status = 'running' AND attempt >= %(max_attempts)s)
        AND NOT (status = 'pending' AND queue = ANY(%(long)s)
            AND created_at > statement_timestamp() - interval '1 minute')
    ORDER BY ring_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
) AS due
WHERE render.id = due.id
RETURNING render.id, render.queue
"""

_USED_UP: Final = """
SELECT id, attempt FROM renders_render
WHERE status = 'running' AND attempt >= %(max_attempts)s AND ring_at < statement_timestamp()
    AND lease_expires_at < statement_timestamp()
ORDER BY ring_at LIMIT %(batch)s
"""


def sweep() -> int:
    """Do one round; return how many renders were due. Raises DatabaseError and RedisError."""
    ring(_end_used_up())
    due = _query(_DUE, {"long": _long_queues(), **_BOUNDS})
    due += _release_throttled()
    for render_id, queue in due:
        # A broker that hangs costs seconds per message: the rest of this round is due again soon anyway.
        if not send(run_render, queue=queue, kwargs={"render_id": render_id}):
            break
    if due:
        log.info("renders_rung", count=len(due))
    return len(due)


def _end_used_up() -> list[str]:
    """Return the deliveries that tell of these ends."""
    delivery_ids = []
    for render_id, attempt in _query(_USED_UP, _BOUNDS):
        ended = statements.fail(
            render_id,
            attempt=attempt,
            error=f"The render was interrupted {attempt} times and was given up. Its credit was given back.",
            code="internal",
        )
        delivery_ids += ended.delivery_ids if ended else []
        log.error("render_given_up", render_id=render_id, attempt=attempt)
    return delivery_ids


def _release_throttled() -> list[shares.Released]:
    """Fill the places that nobody has filled; where there is no limit any more, a batch at a time."""
    released = []
    for team_id, queue in shares.with_throttled():
        share = shares.Share(team_id, queue, limits_of(team_id).running_renders or _BATCH)
        released += shares.release(share, most=_BATCH)
    return released


def _long_queues() -> list[str]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
    with client, client.pipeline(transaction=False) as pipeline:
        for queue in settings.QUEUES:
            pipeline.llen(queue)
        return [
            queue for queue, length in zip(settings.QUEUES, pipeline.execute(), strict=True) if length > _LONG_QUEUE
        ]


def _query(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
