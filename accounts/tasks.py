"""Celery entry points. Each may run any number of times."""

from celery import shared_task
from django.db import connection

from accounts import idempotency


@shared_task(name="accounts.delete_expired_idempotency_keys")
def delete_expired_idempotency_keys() -> None:
    """Forget Idempotency-Keys of more than a day ago."""
    try:
        idempotency.delete_expired()
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX
