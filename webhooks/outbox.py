"""The outbox: an event and its deliveries are written by the very statement in which it happens.

So there is no event of something that was rolled back, and nothing happens that its receivers are not told of,
whoever is killed afterwards. A message only rings for a delivery; its `ring_at` is when the sweeper does, if no
message comes. Where nobody receives the event nothing is written, and its body is not even put together.
"""

from typing import Final

from automette.lib.ids import new_id

_TIME_OF_ID: Final = 9  # characters: c and the milliseconds; 16 more make an id

OUTBOX: Final = """receiver AS (
    SELECT subscription.id AS subscription_id, '' AS url, subscription.id AS receiver
    FROM happened JOIN webhooks_subscription AS subscription ON subscription.team_id = happened.team_id
    WHERE subscription.enabled AND subscription.deleted_at IS NULL AND happened.name = ANY(subscription.events)
    UNION ALL
    SELECT NULL, webhook_url, coalesce(left(lower(substring(webhook_url FROM '^[^/]*//[^/?#]*')), 300), '')
    FROM happened WHERE webhook_url > ''
), event AS (
    INSERT INTO webhooks_event (id, team_id, name, render_id, body)
    SELECT event_id, team_id, name, render_id, body FROM happened WHERE EXISTS (SELECT FROM receiver)
    RETURNING id, team_id
), delivery AS (
    INSERT INTO webhooks_delivery (
        id, team_id, event_id, subscription_id, url, receiver, status, manual, claim, failures, next_attempt_at,
        ring_at)
    SELECT %(time_of_id)s::text || left(md5(gen_random_uuid()::text), 16), event.team_id, event.id,
        receiver.subscription_id, receiver.url, receiver.receiver, 'pending', false, 0, 0, statement_timestamp(),
        statement_timestamp() + interval '5 seconds'
    FROM event, receiver
    RETURNING id
)"""
"""CTEs for a statement that has a CTE `happened`: not materialized, with a row if something happened, and the columns
`event_id`, `team_id`, `name`, `render_id`, `webhook_url` (told beside the subscriptions, or NULL) and `body`.

The ids of `delivery` are to be rung for (`webhooks.ringing`).
"""


def values_of_outbox() -> dict[str, str]:
    """Return the parameters of OUTBOX."""
    return {"time_of_id": new_id()[:_TIME_OF_ID]}
