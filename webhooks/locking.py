"""What decides about a team's places and turns does so one after the other, by an advisory lock.

The lock is taken by a statement of its own, because a statement sees only what was committed before it began.
"""

from typing import Any, Final

from django.db import connection

_LOCKS: Final = 7_318_204  # of advisory locks: the seed that tells ours from others'
# Nobody waits for the disk with the lock in his hands: a claim that a crash of the database undoes was none.
_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(%(team)s::text, %(locks)s::bigint)),
    set_config('synchronous_commit', 'off', true)
"""


def run_locked(team_id: str, statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    """Run the statement behind the team's lock and return its first row.

    One round trip, and one transaction, which ends with the pipeline.
    """
    with connection.cursor() as locking, connection.cursor() as running, connection.wrap_database_errors:
        with connection.connection.pipeline():
            locking.execute(_LOCK, {"team": team_id, "locks": _LOCKS})
            running.execute(statement, values)
        row: tuple[Any, ...] | None = running.fetchone()
        return row
