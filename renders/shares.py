"""A team's share of the workers: how many of its background renders are under way at once, in each queue.

Queues are first in, first out, so whoever puts 5,000 messages into one keeps everybody else waiting. A team therefore
has at most `running_renders` messages and running renders in a queue; its other renders are throttled: pending rows
without `ring_at` and without a message. When one ends, its worker rings for the team's oldest throttled one. What
that misses (a worker that died, a place that became free while a render was being accepted) the sweeper makes good.

The rows themselves are what is counted, by partial indexes that hold only them, so no count can leak. The count is
not exact: renders accepted or ended in the same instant may exceed it by as many. None follows until it is kept.
"""

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
    SELECT id FROM renders_render
    WHERE team_id = %(team_id)s AND queue = %(queue)s AND status = 'pending' AND ring_at IS NULL
    ORDER BY id
    LIMIT least(%(most)s::int, %(places)s::int - (
        SELECT count(*) FROM (
            SELECT FROM renders_render
            WHERE team_id = %(team_id)s AND queue = %(queue)s
                AND status IN ('pending', 'running') AND ring_at IS NOT NULL
            LIMIT %(places)s::int
        ) AS under_way
    ))
    FOR UPDATE SKIP LOCKED
) AS next
WHERE render.id = next.id
RETURNING render.id, render.queue
"""


def release(share: Share, *, most: int) -> list[Released]:
    """Take the oldest throttled renders of a share for the places that are free, at most so many.

    The caller rings for them; if it cannot, the sweeper does five seconds later.
    """
    return [Released(*row) for row in _query(_RELEASE, {**share._asdict(), "most": most})]


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
