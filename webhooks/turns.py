"""What whoever has ended a call goes on with.

A message that finds its receiver, or its team, with as many calls as it may have is dropped. It saw those calls under
way, so each of them ends after its delivery was committed, and whoever ends one finds it here: no message is missed.
"""

from typing import Any, Final

from django.conf import settings
from django.db import connection

_WAITING_RECEIVERS: Final = 200  # more than these of one team are not looked through

_NEXT_OF_RECEIVER: Final = """
SELECT (
    SELECT due.id FROM webhooks_delivery AS due
    WHERE due.team_id = %(team)s AND due.receiver = %(receiver)s AND due.status = 'pending'
        AND due.next_attempt_at <= statement_timestamp()
        AND NOT EXISTS (SELECT FROM webhooks_subscription WHERE id = %(subscription)s AND NOT enabled)
    ORDER BY due.next_attempt_at, due.id LIMIT 1
), (
    SELECT count(*) FROM webhooks_delivery AS sending
    WHERE sending.team_id = %(team)s AND sending.status = 'sending'
        AND sending.lease_expires_at >= statement_timestamp()
)
"""
# From one receiver to the next in the index, instead of reading all deliveries that wait.
_NEXT_OF_TEAM: Final = """
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

# So that those who end their calls at the same moment do not all ring for the same one.
_TO_THE_END: Final = """
UPDATE webhooks_delivery
SET next_attempt_at = statement_timestamp(), ring_at = statement_timestamp() + interval '5 seconds'
WHERE id = (
    SELECT id FROM webhooks_delivery
    WHERE team_id = %(team)s AND receiver = (SELECT receiver FROM webhooks_delivery WHERE id = %(id)s)
        AND status = 'pending' AND next_attempt_at <= statement_timestamp()
    ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def next_due(*, team_id: str, receiver: str, subscription_id: str | None) -> str | None:
    """Return the oldest delivery of this receiver that is due, else of a receiver of the team with a place left.

    While the team is at its own limit, the oldest of the whole team: messages for other receivers were dropped, too.
    """
    values = {"team": team_id, "receiver": receiver, "subscription": subscription_id}
    own, calls = _one(_NEXT_OF_RECEIVER, values) or (None, 0)
    if own and calls < settings.WEBHOOK_CALLS_PER_TEAM - 1:
        return str(own)
    limits = {"receivers": _WAITING_RECEIVERS, "of_receiver": settings.WEBHOOK_CALLS_PER_RECEIVER}
    found = _one(_NEXT_OF_TEAM, {"team": team_id, **limits})
    return str(found[0]) if found else None


def put_to_the_end(*, team_id: str, delivery_id: str) -> str | None:
    """Return this delivery, or another of its receiver that is due, as one that only now became due.

    The caller rings for it. Of callers at the same moment each gets another one.
    """
    row = _one(_TO_THE_END, {"team": team_id, "id": delivery_id})
    return str(row[0]) if row else None


def _one(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
