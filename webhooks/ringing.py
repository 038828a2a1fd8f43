"""Ringing for deliveries: the rows are the truth, and a worker that is rung for one looks at its row."""

from collections.abc import Iterable

from automette.lib.tasks import send
from webhooks.tasks import send_delivery


def ring(delivery_ids: Iterable[str]) -> None:
    """Send a message for each of these deliveries, until the broker refuses one: the sweeper rings for the rest."""
    for delivery_id in delivery_ids:
        if not send(send_delivery, queue="webhooks", kwargs={"delivery_id": delivery_id}):
            return
