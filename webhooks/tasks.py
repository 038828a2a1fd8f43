"""Celery entry points. Each may run any number of times for the same row."""

from celery import shared_task
from django.db import connection

from automette.lib.tasks import send
from webhooks import delivery, retention


@shared_task(name="webhooks.send_delivery")
def send_delivery(*, delivery_id: str) -> None:
    """Make the attempt that is due, if one is."""
    try:
        if next_id := delivery.deliver(delivery_id):
            send(send_delivery, queue="webhooks", kwargs={"delivery_id": next_id})
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX


@shared_task(name="webhooks.delete_old_events")
def delete_old_events() -> None:
    """Delete what webhooks told long ago."""
    try:
        retention.delete_old_events()
    finally:
        connection.close()
