"""Celery entry points. Each may run any number of times for the same row."""

from celery import shared_task
from django.db import connection

from automette.lib.tasks import send
from renders import execution, retention
from webhooks.ringing import ring


@shared_task(name="renders.run_render", ignore_result=False)
def run_render(*, render_id: str) -> None:
    """Render a document if it is still to be rendered; the (empty) result wakes a waiting caller."""
    try:
        renders, delivery_ids = execution.execute_render(render_id)
        for next_one in renders:
            send(run_render, queue=next_one.queue, kwargs={"render_id": next_one.render_id})
        ring(delivery_ids)
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX


@shared_task(name="renders.delete_superseded_files")
def delete_superseded_files() -> None:
    """Remove from the store what attempts wrote that were overtaken by another."""
    try:
        execution.delete_superseded_files()
    finally:
        connection.close()


@shared_task(name="renders.delete_expired_files")
def delete_expired_files() -> None:
    """Take the files of renders away whose time is over, and delete from the store what is left to delete."""
    try:
        retention.delete_expired_files()
    finally:
        connection.close()
