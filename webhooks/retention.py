"""Deleting events with their deliveries and attempts: when their time is over, and when their render is deleted.

The deliveries are locked by a statement of their own first. Whoever claims or reopens one waits, or we see what it
has written; so no attempt is left whose delivery is gone, which the database would refuse.
"""

import time
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction

from webhooks.models import Event

log = structlog.get_logger(__name__)

_BATCH: Final = 200
_BUDGET_SECONDS: Final = 30.0

_LOCK: Final = """
SELECT id FROM webhooks_delivery WHERE event_id = ANY(%(event_ids)s) ORDER BY id FOR UPDATE
"""
_DELETE: Final = """
WITH attempt AS (
    DELETE FROM webhooks_attempt AS attempt USING webhooks_delivery AS delivery
    WHERE attempt.delivery_id = delivery.id AND delivery.event_id = ANY(%(event_ids)s)
), delivery AS (
    DELETE FROM webhooks_delivery WHERE event_id = ANY(%(event_ids)s)
)
DELETE FROM webhooks_event WHERE id = ANY(%(event_ids)s)
"""

_TAKE_OLD: Final = """
SELECT id FROM webhooks_event AS event
WHERE created_at < statement_timestamp() - make_interval(days => %(days)s) AND NOT EXISTS (
    SELECT FROM webhooks_delivery AS delivery
    WHERE delivery.event_id = event.id AND delivery.status IN ('pending', 'sending')
)
ORDER BY created_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
"""
# What somebody else holds may be open again in a moment: its event stays until the next run.
_LOCK_FREE: Final = """
SELECT id FROM webhooks_delivery
WHERE event_id = ANY(%(event_ids)s) AND status NOT IN ('pending', 'sending') FOR UPDATE SKIP LOCKED
"""
_ENTIRELY_LOCKED: Final = """
SELECT id FROM webhooks_event AS event
WHERE id = ANY(%(event_ids)s) AND NOT EXISTS (
    SELECT FROM webhooks_delivery AS delivery
    WHERE delivery.event_id = event.id AND delivery.id NOT IN (SELECT unnest(%(locked)s::text[]))
)
"""


def delete_events_of_render(render_id: str) -> None:
    """Delete what webhooks had to tell of a render, in the caller's transaction, in which no event of it can come."""
    event_ids = list(Event.objects.filter(render_id=render_id).values_list("id", flat=True))
    if event_ids:
        _ids(_LOCK, event_ids=event_ids)
        _delete(event_ids)


def delete_old_events() -> None:
    """Delete events after WEBHOOK_RETENTION_DAYS, but none that is still to be delivered; for half a minute at most.

    Safe to repeat, to be killed, and to run in several workers at once: the next run goes on where this one stopped.
    """
    deadline = time.monotonic() + _BUDGET_SECONDS
    deleted = 0
    while time.monotonic() < deadline and (count := _delete_batch()):
        deleted += count
    if deleted:
        log.info("old_events_deleted", count=deleted)


def _delete_batch() -> int:
    with transaction.atomic():
        taken = _ids(_TAKE_OLD, days=settings.WEBHOOK_RETENTION_DAYS, batch=_BATCH)
        locked = _ids(_LOCK_FREE, event_ids=taken)
        event_ids = _ids(_ENTIRELY_LOCKED, event_ids=taken, locked=locked)
        _delete(event_ids)
        return len(event_ids)


def _delete(event_ids: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_DELETE, {"event_ids": event_ids})


def _ids(statement: str, **values: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()]
