"""Celery entry points. Each may run any number of times for the same row."""

from celery import shared_task
from celery.signals import worker_shutdown, worker_shutting_down
from django.db import connection

from automette.lib.tasks import send
from webhooks import delivery, retention


@shared_task(name="webhooks.send_delivery")
def send_delivery(*, delivery_id: str) -> None:
    """Take the attempt that is due, if one is: it goes on by itself."""
    try:
        delivery.deliver(delivery_id, ring=_ring)
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX


def _ring(delivery_id: str) -> None:
    send(send_delivery, queue="webhooks", kwargs={"delivery_id": delivery_id})


@worker_shutting_down.connect
def _go_on_with_nothing(**_: object) -> None:
    delivery.is_ending.set()


@worker_shutdown.connect
def _finish_with_worker(**_: object) -> None:
    delivery.finish()


@shared_task(name="webhooks.delete_old_events")
def delete_old_events() -> None:
    """Delete what webhooks told long ago."""
    try:
        retention.delete_old_events()
    finally:
        connection.close()
