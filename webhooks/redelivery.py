"""Deliveries that somebody asks for: tests, and events that are sent again.

Such an attempt is made once and counts nowhere, whatever comes of it. The event keeps its id, so a receiver that has
it already can tell.
"""

import datetime as dt
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.idempotency import creating
from accounts.models import Team
from accounts.services import record_audit
from automette.lib.errors import ConflictError, NotFoundError
from automette.lib.ids import new_id
from automette.lib.pagination import page_by_id
from automette.lib.tasks import send_after_commit
from webhooks.models import Attempt, Delivery, Event, Subscription
from webhooks.ringing import ring
from webhooks.samples import sample_body
from webhooks.services import find_subscription
from webhooks.tasks import send_delivery

SHOWN_ATTEMPTS: Final = 100
_RING_AGAIN: Final = dt.timedelta(seconds=5)
_BATCH: Final = 1000


def list_deliveries(
    *, team: Team, subscription_id: str, limit: int, cursor: str | None = None, status: str | None = None
) -> tuple[list[Delivery], str | None]:
    """Return a page of a subscription's deliveries, newest first, and the next cursor.

    Raises NotFoundError, and InvalidValueError for a cursor that is none of them.
    """
    subscription = find_subscription(team=team, subscription_id=subscription_id)
    known = Delivery.objects.filter(subscription=subscription)
    rows = _with_what_is_told(known.filter(status=status) if status else known)
    return page_by_id(rows.defer("event__body"), known=known, limit=limit, cursor=cursor)


def find_delivery(*, team: Team, delivery_id: str) -> Delivery:
    """Return a delivery of the team, to a subscription that is not deleted or for a render; raises NotFoundError."""
    delivery = _with_what_is_told(_visible(team)).filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFoundError
    return delivery


def last_attempts(*, delivery: Delivery) -> "QuerySet[Attempt]":
    """Return the attempts at a delivery, the newest first."""
    return delivery.attempts.order_by("-claim")[:SHOWN_ATTEMPTS]


def send_test(*, team: Team, actor: str, subscription_id: str, event: str | None = None) -> Delivery:
    """Send a subscription an event that did not happen, by default the first that it is told of; a repeat another.

    Raises NotFoundError, and ConflictError for a disabled subscription.
    """
    with creating():
        subscription = find_subscription(team=team, subscription_id=subscription_id)
        _check_enabled(subscription)
        name = event or subscription.events[0]
        event_id = f"evt_test_{new_id()}"
        row = Event.objects.create(id=event_id, team=team, name=name, body=sample_body(name, event_id=event_id))
        delivery = Delivery.objects.create(
            team=team,
            event=row,
            subscription=subscription,
            receiver=subscription.id,
            manual=True,
            ring_at=Now() + _RING_AGAIN,
        )
        detail = {"delivery_id": delivery.id, "event": name}
        record_audit(team=team, action="webhook.tested", actor=actor, subject=subscription.id, detail=detail)
        _ring_after_commit(delivery.id)
    return find_delivery(team=team, delivery_id=delivery.id)


def redeliver(*, team: Team, actor: str, delivery_id: str) -> Delivery:
    """Send an event to its receiver once more, now.

    A delivery that waits for its next attempt only has it earlier; a repeat does nothing more. Raises NotFoundError,
    and ConflictError while it is being sent and for a disabled subscription.
    """
    with creating():
        delivery = _lock(team, delivery_id)
        if delivery.subscription is not None:
            _check_enabled(delivery.subscription)
        if delivery.status == Delivery.Status.SENDING:
            raise ConflictError("An attempt at this delivery is being made at this moment. Look at what comes of it.")
        asked_for = delivery.status != Delivery.Status.PENDING
        again: dict[str, Any] = {"status": Delivery.Status.PENDING, "manual": True} if asked_for else {}
        Delivery.objects.filter(pk=delivery.pk).update(**again, next_attempt_at=Now(), ring_at=Now() + _RING_AGAIN)
        detail = {"event_id": delivery.event_id, "was": delivery.status}
        record_audit(team=team, action="webhook.redelivered", actor=actor, subject=delivery.id, detail=detail)
        _ring_after_commit(delivery.id)
    return find_delivery(team=team, delivery_id=delivery_id)


# The sweeper is to ring for those that no message rings for, a hundred in a second.
_REOPEN: Final = """
WITH ended AS MATERIALIZED (
    SELECT id FROM webhooks_delivery
    WHERE subscription_id = %(subscription_id)s AND status IN ('failed', 'suspended')
        AND id > %(after)s AND created_at >= %(since)s
    ORDER BY id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED
), numbered AS (
    SELECT id, row_number() OVER (ORDER BY id) AS number FROM ended
)
UPDATE webhooks_delivery AS delivery
SET status = 'pending', manual = true, next_attempt_at = statement_timestamp(),
    ring_at = statement_timestamp() + interval '5 seconds' + numbered.number * interval '10 milliseconds'
FROM numbered WHERE delivery.id = numbered.id
RETURNING delivery.id
"""


def redeliver_since(*, team: Team, actor: str, subscription_id: str, since: dt.datetime) -> int:
    """Send once more what a subscription did not get of the events since then; return how many deliveries that are.

    Those that wait for their next attempt go on as they do, so a repeat finds nothing. Raises NotFoundError, and
    ConflictError for a disabled subscription.
    """
    subscription = find_subscription(team=team, subscription_id=subscription_id)
    _check_enabled(subscription)
    first = reopened = _reopen_batch(subscription, actor, since, after="")
    count = len(first)
    while len(reopened) == _BATCH:
        reopened = _reopen_batch(subscription, actor, since, after=reopened[-1])
        count += len(reopened)
    ring(first[: settings.WEBHOOK_CALLS_PER_RECEIVER])  # whoever sends one of these goes on with the next
    return count


def _reopen_batch(subscription: Subscription, actor: str, since: dt.datetime, after: str) -> list[str]:
    """Reopen the next deliveries in a transaction of their own, and return their ids in order."""
    values: dict[str, Any] = {"subscription_id": subscription.id, "since": since, "after": after, "batch": _BATCH}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_REOPEN, values)
            reopened = sorted(str(row[0]) for row in cursor.fetchall())
        if reopened:
            detail = {"since": since.isoformat(), "count": len(reopened)}
            record_audit(
                team=subscription.team,
                action="webhook.redelivered",
                actor=actor,
                subject=subscription.id,
                detail=detail,
            )
    return reopened


def _ring_after_commit(delivery_id: str) -> None:
    send_after_commit(send_delivery, queue="webhooks", kwargs={"delivery_id": delivery_id})


def _visible(team: Team) -> "QuerySet[Delivery]":
    return Delivery.objects.filter(Q(subscription=None) | Q(subscription__deleted_at=None), team=team)


def _with_what_is_told(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    return rows.select_related("event", "subscription")


def _lock(team: Team, delivery_id: str) -> Delivery:
    rows = _visible(team).select_related("subscription").select_for_update(of=("self",), no_key=True)
    delivery = rows.filter(pk=delivery_id).first()
    if delivery is None:
        raise NotFoundError
    return delivery


def _check_enabled(subscription: Subscription) -> None:
    if not subscription.enabled:
        raise ConflictError(
            "This webhook is disabled. Enable it first: PATCH "
            f'{settings.PUBLIC_URL}/api/v1/webhooks/{subscription.id} with {{"enabled": true}}.'
        )
