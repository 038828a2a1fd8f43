"""Taking files away: of renders whose time is over, and what deletions left to do.

A file goes in two steps. One transaction marks the render, removes its file rows and writes an ObjectDeletion for
each; from then on nobody is led to the object. Then, with no transaction open, the object is deleted from the store,
and after it the ObjectDeletion. Each step may be repeated, and a worker killed between them leaves work that the next
run finds.
"""

import time
from collections.abc import Collection
from typing import Any, Final

import structlog
from django.db import connection

from automette.lib import store
from renders.models import UPLOADS_END_AFTER, ObjectDeletion

log = structlog.get_logger(__name__)

_BATCH: Final = 200
_BUDGET_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 60

_EXPIRE: Final = """
WITH due AS (
    SELECT id FROM renders_render
    WHERE expires_at <= statement_timestamp() AND expired_at IS NULL AND deleted_at IS NULL
    ORDER BY expires_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), expired AS (
    UPDATE renders_render AS render SET expired_at = render.expires_at
    FROM due WHERE render.id = due.id
    RETURNING render.id, render.finished_at
), file AS (
    DELETE FROM renders_renderfile AS file USING expired WHERE file.render_id = expired.id
    RETURNING file.key, expired.finished_at
), deletion AS (
    INSERT INTO renders_objectdeletion (key, delete_at, uploads_end_at)
    SELECT key, statement_timestamp(), finished_at + make_interval(secs => %(uploads)s) FROM file
)
SELECT count(*) FROM expired
"""

# Whoever takes a row has a minute for it; after that it is due again.
_TAKE: Final = """
UPDATE renders_objectdeletion AS deletion
SET delete_at = statement_timestamp() + make_interval(secs => %(again)s)
FROM (
    SELECT id FROM renders_objectdeletion WHERE delete_at <= statement_timestamp()
    ORDER BY delete_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
) AS due
WHERE deletion.id = due.id
RETURNING deletion.id, deletion.key
"""

_DONE: Final = """
DELETE FROM renders_objectdeletion WHERE id = ANY(%(ids)s) AND uploads_end_at <= statement_timestamp()
"""


def delete_expired_files() -> None:
    """Take away the files that are due, for half a minute at most; the next run goes on where this one stopped.

    Safe to repeat, to be killed, and to run in several workers at once.
    """
    deadline = time.monotonic() + _BUDGET_SECONDS
    expired = deleted = 0
    try:
        while time.monotonic() < deadline:
            marked = expire_due(most=_BATCH)
            taken = _take_due(most=_BATCH)
            delete_objects(taken)
            expired, deleted = expired + marked, deleted + len(taken)
            if not marked and not taken:
                break
    except store.StoreUnavailableError as error:
        log.warning("objects_not_deleted", error=str(error))
    if expired or deleted:
        log.info("expired_files_deleted", renders=expired, objects=deleted)


def expire_due(*, most: int) -> int:
    """Take the files from up to so many renders that are due, the longest due first; return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE, {"batch": most, "uploads": UPLOADS_END_AFTER.total_seconds()})
        count: int = cursor.fetchone()[0]
        return count


def delete_objects(deletions: Collection[ObjectDeletion]) -> None:
    """Delete these objects from the store; the rows stay while an upload may still arrive.

    Raises StoreUnavailableError; what was not deleted then is due again within a minute.
    """
    if not deletions:
        return
    connection.close()  # nothing of the database is held while the store works
    store.delete(deletion.key for deletion in deletions)
    _execute(_DONE, {"ids": [deletion.pk for deletion in deletions]})


def _take_due(*, most: int) -> list[ObjectDeletion]:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"batch": most, "again": _AGAIN_SECONDS})
        return [ObjectDeletion(id=pk, key=key) for pk, key in cursor.fetchall()]


def _execute(statement: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
