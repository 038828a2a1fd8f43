"""What a test sends: bodies as real events have them, of things that there are not."""

import json
from typing import Any

from django.conf import settings
from django.utils import timezone

from automette.lib.ids import new_id
from automette.lib.timestamps import iso
from webhooks.models import EventName


def sample_body(name: str, *, event_id: str) -> str:
    """Return the body of an event of this name, as JSON. `test` is true in it, and every id is one of nothing."""
    made = _form_submitted() if name == EventName.FORM_SUBMITTED else _render_ended(name)
    body = {"event_id": event_id, "event": name, **made, "test": True}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _render_ended(name: str) -> dict[str, Any]:
    render_id, now = new_id(), iso(timezone.now())
    completed = name == EventName.RENDER_COMPLETED
    return {
        "render_id": render_id,
        "job_id": new_id(),
        "template_id": new_id(),
        "template_name": "Test",
        "status": "completed" if completed else "failed",
        "url": f"{settings.CDN_BASE_URL}/renders/{render_id}.pdf" if completed else None,
        "format": "pdf",
        "data": {"name": "Ada"},
        "error": None if completed else "This is a test: nothing was rendered.",
        "created_at": now,
        "completed_at": now,
    }


def _form_submitted() -> dict[str, Any]:
    return {
        "form_id": new_id(),
        "submission_id": new_id(),
        "answers": {"name": "Ada"},
        "submitted_at": iso(timezone.now()),
    }
