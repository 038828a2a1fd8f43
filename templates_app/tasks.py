"""Celery entry points. Each may run any number of times."""

from typing import Any

from celery import shared_task
from django.db import connection

from templates_app import blobs, deleted_templates, execution, font_inspection, source_check


@shared_task(name="templates_app.delete_unused_blobs")
def delete_unused_blobs() -> None:
    """Remove from the store what no asset, font or version names any more."""
    try:
        blobs.delete_unused()
    finally:
        connection.close()  # back to the pool: see CELERY_DB_REUSE_MAX


@shared_task(name="templates_app.delete_assets_of_deleted_templates")
def delete_assets_of_deleted_templates() -> None:
    """Remove the assets of deleted templates that no render needs any more."""
    try:
        deleted_templates.delete_assets()
    finally:
        connection.close()


@shared_task(name="templates_app.inspect_docx", ignore_result=False)
def inspect_docx(*, team_id: str, sha256: str) -> dict[str, Any]:
    """Clean an uploaded Word file and read its fields; the result is the answer to `worker_calls.call`."""
    try:
        return execution.inspect_docx(team_id=team_id, sha256=sha256)
    finally:
        connection.close()


@shared_task(name="templates_app.check_source", ignore_result=False)
def check_source(*, team_id: str, sha256: str, template_id: str | None) -> dict[str, Any]:
    """Try a source out; the result is the answer to `worker_calls.call`."""
    try:
        return source_check.check_source(team_id=team_id, sha256=sha256, template_id=template_id)
    finally:
        connection.close()


@shared_task(name="templates_app.inspect_font", ignore_result=False)
def inspect_font(*, team_id: str, sha256: str) -> dict[str, Any]:
    """Try an uploaded font out; the result is the answer to `worker_calls.call`."""
    try:
        return font_inspection.inspect_font(team_id=team_id, sha256=sha256)
    finally:
        connection.close()


@shared_task(name="templates_app.list_server_families", ignore_result=False)
def list_server_families(*, team_id: str) -> dict[str, Any]:
    """Tell which families every template may name; the result is the answer to `worker_calls.call`."""
    try:
        return font_inspection.list_server_families(team_id=team_id)
    finally:
        connection.close()
