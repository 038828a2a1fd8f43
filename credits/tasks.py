"""Celery entry points. Each may run any number of times."""

from celery import shared_task
from django.db import connection

from credits import resets


@shared_task(name="credits.reset_due")
def reset_due() -> None:
    """Reset the teams whose period has ended."""
    try:
        resets.reset_due_accounts()
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX
