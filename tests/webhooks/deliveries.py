"""Subscriptions and deliveries, put in the database as the API and the end of a render do."""

import datetime as dt

from django.utils import timezone

from automette.lib.encryption import encrypt
from automette.lib.ids import new_id
from webhooks.models import Delivery, Event, Subscription

WEBHOOKS = "/api/v1/webhooks"
DELIVERIES = "/api/v1/webhook_deliveries"
OPEN = ("pending", "sending")


# Nothing listens there; whoever else's worker comes to such a row stays on this machine.
def subscribe(api, *, url="https://127.0.0.1:1/hooks", secret="wh_" + 8 * "QUFB", **more) -> Subscription:
    subscription_id = new_id()
    row = {"url": url, "events": ["render.completed", "render.failed"], **more}
    Subscription.objects.create(id=subscription_id, team=api.team, secret=encrypt(secret, subscription_id), **row)
    return Subscription.objects.get(pk=subscription_id)


def deliver(subscription=None, *, team=None, status="pending", body="{}", **more) -> Delivery:
    """Without a subscription it is for the address that came with a render. No sweeper rings for it."""
    team, now = team or subscription.team, timezone.now()
    event = Event.objects.create(
        id=f"evt_render_{new_id()}", team=team, name="render.completed", render_id=new_id(), body=body
    )
    never = now + dt.timedelta(days=365)
    row = {
        "receiver": subscription.id if subscription else "https://127.0.0.1:1",
        "url": "" if subscription else "https://127.0.0.1:1/back",
        "next_attempt_at": never if status == "pending" else None,
        "lease_expires_at": never if status == "sending" else None,
        "ring_at": never if status in OPEN else None,
        "delivered_at": now if status == "delivered" else None,
        **more,
    }
    created = Delivery.objects.create(team=team, event=event, subscription=subscription, status=status, **row)
    return Delivery.objects.get(pk=created.pk)
