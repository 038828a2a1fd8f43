"""The statements of sending: claim a delivery, record what came of the attempt.

Claims of a team come one after the other (`webhooks.locking`): only so can calls under way be counted and a place be
given away without anybody overshooting. A delivery's row is locked before that of its subscription, as everywhere.
All times are the database's.
"""

import dataclasses
import datetime as dt
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction

from accounts.models import Team
from accounts.services import record_audit
from automette.lib.ids import new_id
from webhooks import turns
from webhooks.locking import run_locked
from webhooks.models import DISABLED_AT_FAILURES
from webhooks.schedule import seconds_until_next

log = structlog.get_logger(__name__)

LEASE_MARGIN_SECONDS: Final = 10
"""A lease is as long as a call may take and this, for what comes before and after it."""
_ACTOR: Final = "automette"
_SET_ASIDE_AT_ONCE: Final = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a worker needs for one attempt; the secrets are encrypted."""

    delivery_id: str
    number: int
    attempt_id: str
    team_id: str
    receiver: str
    manual: bool
    failures: int
    event_id: str
    body: str
    url: str
    subscription_id: str | None
    secret: str
    previous_secret: str
    previous_secret_until: dt.datetime | None
    is_raw_key: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt; without `error` it is a success. `retry_after` are seconds."""

    http_status: int | None
    milliseconds: int
    answer: str = ""
    error: str | None = None
    error_code: str = ""
    retry_after: float | None = None
    is_gone: bool = False


_IS_DUE: Final = """(delivery.status = 'pending' AND delivery.next_attempt_at <= statement_timestamp()
        OR delivery.status = 'sending' AND delivery.lease_expires_at < statement_timestamp())"""
# Most messages of a busy receiver end here, at the cost of reading.
_WITH_PLACE: Final = """
SELECT delivery.team_id FROM webhooks_delivery AS delivery, LATERAL (
    SELECT count(*) AS of_team, count(*) FILTER (WHERE sending.receiver = delivery.receiver) AS of_receiver
    FROM webhooks_delivery AS sending
    WHERE sending.team_id = delivery.team_id AND sending.status = 'sending'
        AND sending.lease_expires_at >= statement_timestamp()
) AS busy
WHERE delivery.id = %(id)s
    AND (delivery.status = 'sending' OR busy.of_receiver < %(of_receiver)s AND busy.of_team < %(of_team)s) AND """
_HAS_PLACE: Final = _WITH_PLACE + _IS_DUE
_WITH_DELIVERY: Final = """
WITH due AS (
    SELECT delivery.id, delivery.claim + 1 AS claim, delivery.team_id, delivery.receiver, delivery.manual,
        delivery.failures, delivery.event_id, delivery.delivered_at, coalesce(subscription.url, delivery.url) AS url,
        subscription.id AS subscription_id, subscription.secret, subscription.previous_secret,
        subscription.previous_secret_until, subscription.signature_key = 'raw' AS is_raw_key,
        coalesce(NOT subscription.enabled, false) AS is_disabled, subscription.deleted_at
    FROM webhooks_delivery AS delivery
    LEFT JOIN webhooks_subscription AS subscription ON subscription.id = delivery.subscription_id
    WHERE """
_THIS_ONE: Final = "delivery.id = %(id)s AND "
_TAKE: Final = """
    FOR UPDATE OF delivery
), decided AS (
    SELECT due.*, CASE
        WHEN is_disabled AND delivered_at IS NOT NULL THEN 'delivered'
        WHEN is_disabled AND deleted_at IS NOT NULL THEN 'failed'
        WHEN is_disabled THEN 'suspended'
        WHEN busy.of_receiver >= %(of_receiver)s OR busy.of_team >= %(of_team)s THEN 'pending'
        ELSE 'sending'
    END AS status
    FROM due, LATERAL (
        SELECT count(*) AS of_team, count(*) FILTER (WHERE sending.receiver = due.receiver) AS of_receiver
        FROM webhooks_delivery AS sending
        WHERE sending.team_id = due.team_id AND sending.status = 'sending'
            AND sending.lease_expires_at >= statement_timestamp()
    ) AS busy
), changed AS (
    UPDATE webhooks_delivery AS delivery
    SET status = decided.status,
        claim = CASE decided.status WHEN 'sending' THEN decided.claim ELSE delivery.claim END,
        manual = delivery.manual AND decided.status IN ('pending', 'sending'),
        lease_expires_at = CASE decided.status WHEN 'sending' THEN statement_timestamp() + %(lease)s END,
        next_attempt_at = CASE WHEN decided.status IN ('pending', 'sending') THEN delivery.next_attempt_at END,
        ring_at = CASE decided.status
            WHEN 'sending' THEN statement_timestamp() + %(lease)s
            WHEN 'pending' THEN statement_timestamp() + interval '30 seconds'
        END
    FROM decided WHERE delivery.id = decided.id
), interrupted AS (
    UPDATE webhooks_attempt AS attempt
    SET finished_at = statement_timestamp(), error_code = 'interrupted',
        error = 'The attempt was interrupted on our side. It counts for nothing.'
    FROM decided WHERE attempt.delivery_id = decided.id AND attempt.finished_at IS NULL
), attempt AS (
    INSERT INTO webhooks_attempt (id, delivery_id, claim, manual, url, success, answer, error_code)
    SELECT %(attempt)s::text, id, claim, manual, url, false, '', '' FROM decided WHERE status = 'sending'
)
SELECT decided.status, decided.is_disabled, decided.id, decided.claim, %(attempt)s::text, decided.team_id,
    decided.receiver, decided.manual, decided.failures, decided.event_id,
    CASE decided.status WHEN 'sending' THEN event.body END, decided.url, decided.subscription_id,
    coalesce(decided.secret, ''), coalesce(decided.previous_secret, ''), decided.previous_secret_until,
    coalesce(decided.is_raw_key, false)
FROM decided JOIN webhooks_event AS event ON event.id = decided.event_id
"""
_CLAIM: Final = _WITH_DELIVERY + _THIS_ONE + _IS_DUE + _TAKE
_CLAIM_NEXT: Final = _WITH_DELIVERY + turns.IS_NEXT_OF_RECEIVER + _TAKE
_CLAIM_OLDEST: Final = _WITH_DELIVERY + turns.IS_OLDEST_OF_TEAM + _TAKE
# What else is due for a subscription that gets nothing any more: nobody is to be rung for each of them.
_SET_ASIDE: Final = """
UPDATE webhooks_delivery AS delivery
SET status = CASE WHEN delivery.delivered_at IS NULL THEN %(status)s::text ELSE 'delivered' END,
    manual = false, next_attempt_at = NULL, ring_at = NULL
FROM (
    SELECT id FROM webhooks_delivery
    WHERE team_id = %(team)s AND receiver = %(receiver)s AND status = 'pending'
        AND next_attempt_at <= statement_timestamp()
    ORDER BY next_attempt_at, id LIMIT %(at_once)s FOR UPDATE SKIP LOCKED
) AS due
WHERE delivery.id = due.id
"""


def claim(delivery_id: str) -> Claim | None:
    """Take a delivery for one attempt; None when there is nothing to do for it now.

    It may be gone, ended, not due, taken, or its receiver or its team has as many calls as it may: then its row
    waits, and who ends one of those calls finds it. One of a disabled or deleted subscription is ended. A repeat call
    takes nothing.
    """
    values = {"id": delivery_id, **_limits()}
    team = _one(_HAS_PLACE, values)
    return _claim(team[0], _CLAIM, values) if team else None


def claim_next(ended: Claim) -> Claim | None:
    """Take what whoever has ended a call goes on with (`webhooks.turns`); None when nothing is due."""
    receiver = {"receiver": ended.receiver, "subscription": ended.subscription_id}
    values = {"team": ended.team_id, **_limits()}
    return _claim(ended.team_id, _CLAIM_NEXT, values | receiver) or _claim(
        ended.team_id, _CLAIM_OLDEST, values | turns.LIMIT
    )


def _claim(team_id: str, statement: str, values: dict[str, Any]) -> Claim | None:
    lease = dt.timedelta(seconds=settings.WEBHOOK_SECONDS + LEASE_MARGIN_SECONDS)
    return _taken(run_locked(team_id, statement, values | {"attempt": new_id(), "lease": lease}))


def _taken(row: tuple[Any, ...] | None) -> Claim | None:
    if row is None:
        return None
    status, is_disabled, *columns = row
    found = Claim(*columns)
    if is_disabled:
        aside = {"team": found.team_id, "receiver": found.receiver, "at_once": _SET_ASIDE_AT_ONCE}
        _execute(_SET_ASIDE, {**aside, "status": "suspended" if status == "delivered" else status})
    return found if status == "sending" else None


def _limits() -> dict[str, int]:
    return {"of_receiver": settings.WEBHOOK_CALLS_PER_RECEIVER, "of_team": settings.WEBHOOK_CALLS_PER_TEAM}


_ATTEMPT: Final = """
WITH attempt AS (
    UPDATE webhooks_attempt
    SET finished_at = statement_timestamp(), success = (%(error)s::text IS NULL), http_status = %(http_status)s,
        milliseconds = %(milliseconds)s, answer = %(answer)s, error = %(error)s, error_code = %(error_code)s
    WHERE id = %(attempt)s
), changed AS ("""
_DELIVERED: Final = """
    UPDATE webhooks_delivery
    SET status = 'delivered', delivered_at = coalesce(delivered_at, statement_timestamp()), manual = false,
        lease_expires_at = NULL, next_attempt_at = NULL, ring_at = NULL
    WHERE id = %(id)s AND status <> 'delivered' AND (claim = %(number)s OR delivered_at IS NULL)
    RETURNING id
), reset AS (
    UPDATE webhooks_subscription SET failure_count = 0 FROM (SELECT count(*) FROM changed) AS before_it
    WHERE id = %(subscription)s AND failure_count > 0
)"""
_TRIED: Final = """
    UPDATE webhooks_delivery
    SET status = CASE WHEN %(pause)s::interval IS NULL THEN 'failed' ELSE 'pending' END,
        failures = failures + 1, lease_expires_at = NULL,
        next_attempt_at = statement_timestamp() + %(pause)s::interval,
        ring_at = statement_timestamp() + %(pause)s::interval
    WHERE id = %(id)s AND claim = %(number)s AND status = 'sending'
    RETURNING id
)"""
_TRIED_MANUALLY: Final = """
    UPDATE webhooks_delivery AS delivery
    SET manual = false, lease_expires_at = NULL, next_attempt_at = NULL, ring_at = NULL, status = CASE
            WHEN delivered_at IS NOT NULL THEN 'delivered'
            WHEN EXISTS (
                SELECT FROM webhooks_subscription
                WHERE id = delivery.subscription_id AND NOT enabled AND deleted_at IS NULL
            ) THEN 'suspended'
            ELSE 'failed'
        END
    WHERE id = %(id)s AND claim = %(number)s AND status = 'sending'
    RETURNING id
)"""


_OWNED: Final = " SELECT id FROM changed"
_SUCCEEDED: Final = _ATTEMPT + _DELIVERED + _OWNED
_FAILED: Final = _ATTEMPT + _TRIED + _OWNED
_FAILED_MANUALLY: Final = _ATTEMPT + _TRIED_MANUALLY + _OWNED


def record(taken: Claim, result: Result) -> None:
    """Write down what came of an attempt, and when the next one is.

    A success counts whoever brings it; a failure only from the claim that still owns the row. If the rows are gone,
    nothing happens.
    """
    values = {
        "id": taken.delivery_id,
        "number": taken.number,
        "subscription": taken.subscription_id,
        "attempt": taken.attempt_id,
        "http_status": result.http_status,
        "milliseconds": result.milliseconds,
        "answer": result.answer,
        "error": result.error,
        "error_code": result.error_code,
    }
    if result.error is None:
        _one(_SUCCEEDED, values)
    elif taken.manual:
        _one(_FAILED_MANUALLY, values)
    else:
        _record_failure(taken, result, values)


_LOCK_SUBSCRIPTION: Final = """
SELECT enabled, failure_count FROM webhooks_subscription WHERE id = %(id)s AND deleted_at IS NULL FOR NO KEY UPDATE
"""
_COUNT: Final = "UPDATE webhooks_subscription SET failure_count = failure_count + 1 WHERE id = %(id)s"
_DISABLE: Final = """
UPDATE webhooks_subscription
SET enabled = false, disabled_reason = %(reason)s, updated_at = statement_timestamp() WHERE id = %(id)s
"""


def _record_failure(taken: Claim, result: Result, values: dict[str, Any]) -> None:
    seconds = seconds_until_next(taken.failures + 1, retry_after=result.retry_after)
    pause = None if result.is_gone or seconds is None else dt.timedelta(seconds=seconds)
    del values["subscription"]
    with transaction.atomic():
        is_owner = _one(_FAILED, {**values, "pause": pause}) is not None
        if is_owner and taken.subscription_id:
            _count_failure(taken, taken.subscription_id, result)


def _count_failure(taken: Claim, subscription_id: str, result: Result) -> None:
    """Add one to the failures in a row; one of them disables the subscription, and no other does so again."""
    subscription = _one(_LOCK_SUBSCRIPTION, {"id": subscription_id})
    if subscription is None:  # deleted
        return
    enabled, failures = subscription[0], subscription[1] + 1
    _execute(_COUNT, {"id": subscription_id})
    if not enabled or not (result.is_gone or failures >= DISABLED_AT_FAILURES):
        return
    reason = "The receiver answered 410." if result.is_gone else f"{failures} failed attempts in a row."
    _execute(_DISABLE, {"id": subscription_id, "reason": reason})
    record_audit(
        team=Team(pk=taken.team_id),
        action="webhook.disabled",
        actor=_ACTOR,
        subject=subscription_id,
        detail={"reason": reason},
    )
    log.info("webhook_disabled", subscription_id=subscription_id, failures=failures)


def _one(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def _execute(statement: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
