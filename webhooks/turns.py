"""Whose turn it is among the receivers of a team."""

from typing import Final

from django.conf import settings
from django.db import connection

_WAITING_RECEIVERS: Final = 200  # more than these of one team are not looked through

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


def next_of_team(team_id: str) -> str | None:
    """Return the oldest due delivery of the team whose receiver may have another call."""
    values = {
        "team": team_id,
        "receivers": _WAITING_RECEIVERS,
        "of_receiver": settings.WEBHOOK_CALLS_PER_RECEIVER,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_OF_TEAM, values)
        row: tuple[str] | None = cursor.fetchone()
    return row[0] if row else None
