"""What whoever has ended a call goes on with.

A message that finds its receiver, or its team, with as many calls as it may have is dropped. It saw those calls under
way, so each of them ends after its delivery was committed, and whoever ends one finds it here: no message is missed.
"""

from typing import Any, Final

from django.conf import settings
from django.db import connection

from webhooks.locking import run_locked

LIMIT: Final = {"receivers": 200}  # more than these of one team are not looked through

_NEXT_OF_RECEIVER: Final = """
    SELECT next.id FROM webhooks_delivery AS next
    WHERE next.team_id = %(team)s AND next.receiver = %(receiver)s AND next.status = 'pending'
        AND next.next_attempt_at <= statement_timestamp()
        AND NOT EXISTS (SELECT FROM webhooks_subscription WHERE id = %(subscription)s AND NOT enabled)
        AND %(of_team)s - 1 > (
            SELECT count(*) FROM webhooks_delivery AS sending
            WHERE sending.team_id = %(team)s AND sending.status = 'sending'
                AND sending.lease_expires_at >= statement_timestamp()
        )
    ORDER BY next.next_attempt_at, next.id LIMIT 1
"""
IS_NEXT_OF_RECEIVER: Final = "delivery.status = 'pending' AND delivery.id = (" + _NEXT_OF_RECEIVER + ")"
"""A condition on `delivery`: the oldest of this receiver that is due.

There is none while the team is at its own limit: then messages for other receivers were dropped, too, and the oldest
of the team is next.
"""
# From one receiver to the next in the index, instead of reading all deliveries that wait.
_OLDEST_OF_TEAM: Final = """
WITH RECURSIVE waiting AS (
    (
        SELECT receiver FROM webhooks_delivery WHERE team_id = %(team)s AND status = 'pending'
        ORDER BY receiver LIMIT 1
    )
    UNION ALL
    SELECT next.receiver FROM waiting CROSS JOIN LATERAL (
        SELECT delivery.receiver FROM webhooks_delivery AS delivery
        WHERE delivery.team_id = %(team)s AND delivery.status = 'pending' AND delivery.receiver > waiting.receiver
        ORDER BY delivery.receiver LIMIT 1
    ) AS next
), busy AS (
    SELECT receiver, count(*) AS calls FROM webhooks_delivery
    WHERE team_id = %(team)s AND status = 'sending' AND lease_expires_at >= statement_timestamp()
    GROUP BY receiver
)
SELECT oldest.id
FROM (SELECT receiver FROM waiting LIMIT %(receivers)s) AS waiting
LEFT JOIN busy ON busy.receiver = waiting.receiver
CROSS JOIN LATERAL (
    SELECT due.id, due.next_attempt_at, due.subscription_id FROM webhooks_delivery AS due
    WHERE due.team_id = %(team)s AND due.receiver = waiting.receiver AND due.status = 'pending'
        AND due.next_attempt_at <= statement_timestamp()
    ORDER BY due.next_attempt_at, due.id LIMIT 1
) AS oldest
LEFT JOIN webhooks_subscription AS subscription ON subscription.id = oldest.subscription_id
WHERE coalesce(busy.calls, 0) < %(of_receiver)s AND subscription.enabled IS NOT FALSE
ORDER BY oldest.next_attempt_at, oldest.id LIMIT 1
"""
IS_OLDEST_OF_TEAM: Final = "delivery.status = 'pending' AND delivery.id = (" + _OLDEST_OF_TEAM + ")"
"""A condition on `delivery`: the oldest of the team that is due and whose receiver may have another call."""

# Moves it to the end: behind the team's lock, each of those who end their calls at the same moment gets another one.
_MOVE: Final = """
UPDATE webhooks_delivery
SET next_attempt_at = statement_timestamp(), ring_at = statement_timestamp() + interval '5 seconds'
WHERE status = 'pending' AND id = ("""
_HAND_OVER: Final = _MOVE + _NEXT_OF_RECEIVER + ") RETURNING id"


def oldest_of_team(team_id: str) -> str | None:
    """Return the oldest delivery of the team that is due and whose receiver may have another call."""
    row = _one(_OLDEST_OF_TEAM, {"team": team_id, "of_receiver": settings.WEBHOOK_CALLS_PER_RECEIVER, **LIMIT})
    return str(row[0]) if row else None


def hand_over(*, team_id: str, receiver: str, subscription_id: str | None) -> str | None:
    """Return what is next, to be rung for: it stands as one that only now became due."""
    values = {
        "team": team_id,
        "receiver": receiver,
        "subscription": subscription_id,
        "of_team": settings.WEBHOOK_CALLS_PER_TEAM,
    }
    row = run_locked(team_id, _HAND_OVER, values)
    return str(row[0]) if row else oldest_of_team(team_id)


def _one(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
