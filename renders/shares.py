"""A team's share of the workers: how many of its background renders are under way at once, in each queue.

Queues are first in, first out, so whoever puts 5,000 messages into one keeps everybody else waiting. A team therefore
has at most `running_renders` messages and running renders in a queue; its other renders are throttled: pending rows
without `ring_at` and without a message. When one ends, its worker rings for the team's oldest throttled one. What
that misses (a worker that died, a place that became free while a render was being accepted) the sweeper makes good.

The rows themselves are what is counted, by partial indexes that hold only them, so no count can leak. It is not
exact: renders accepted or ended in the same instant may exceed it by as many; none follows them until it is kept again.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.db import connection


class Share(NamedTuple):
    """How many renders of a team may be under way in a queue."""

    team_id: str
    queue: str
    places: int


class Released(NamedTuple):
    """A render that is to be rung for now."""

    render_id: str
    queue: str


_RELEASE: Final = """
UPDATE renders_render AS render
SET ring_at = statement_timestamp() + interval '5 seconds'
FROM (
    SELECT throttled.id
    FROM unnest(%(teams)s::text[], %(queues)s::text[], %(places)s::int[]) AS share (team_id, queue, places)
    CROSS JOIN LATERAL (
        SELECT count(*) AS renders FROM (
            SELECT FROM renders_render AS open
            WHERE open.team_id = share.team_id AND open.queue = share.queue
                AND open.status IN ('pending', 'running') AND open.ring_at IS NOT NULL
            LIMIT share.places
        ) AS counted
    ) AS under_way
    CROSS JOIN LATERAL (
        SELECT waiting.id FROM renders_render AS waiting
        WHERE waiting.team_id = share.team_id AND waiting.queue = share.queue
            AND waiting.status = 'pending' AND waiting.ring_at IS NULL
        ORDER BY waiting.id LIMIT least(share.places - under_way.renders, %(most)s)
        FOR UPDATE SKIP LOCKED
    ) AS throttled
) AS next
WHERE render.id = next.id
RETURNING render.id, render.queue
"""


def release(shares: Sequence[Share], *, most: int) -> list[Released]:
    """Take the oldest throttled renders of each share for the places that are free, at most so many for each.

    The caller rings for them; if it cannot, the sweeper does five seconds later.
    """
    if not shares:
        return []
    teams, queues, places = zip(*shares, strict=True)
    values = {"teams": list(teams), "queues": list(queues), "places": list(places), "most": most}
    return [Released(*row) for row in _query(_RELEASE, values)]


# Goes from one team to the next in the index instead of reading all its entries, which may be millions.
_WITH_THROTTLED: Final = """
WITH RECURSIVE found AS (
    (
        SELECT team_id, queue FROM renders_render WHERE status = 'pending' AND ring_at IS NULL
        ORDER BY team_id, queue LIMIT 1
    )
    UNION ALL
    SELECT next.team_id, next.queue FROM found CROSS JOIN LATERAL (
        SELECT render.team_id, render.queue FROM renders_render AS render
        WHERE render.status = 'pending' AND render.ring_at IS NULL
            AND (render.team_id, render.queue) > (found.team_id, found.queue)
        ORDER BY render.team_id, render.queue LIMIT 1
    ) AS next
)
SELECT team_id, queue FROM found
"""


def with_throttled() -> list[tuple[str, str]]:
    """Return every (team, queue) that has throttled renders."""
    return [(team_id, queue) for team_id, queue in _query(_WITH_THROTTLED, {})]


def _query(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
