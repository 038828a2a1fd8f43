"""Renders brought to their end without a worker, and what is written for those who are told."""

from renders import statements
from renders.models import Render
from webhooks.models import Attempt, Delivery, Event, Subscription

RECEIVER = "https://127.0.0.1/hook"
"""Of rows that nobody rings for: nothing calls it."""


def subscribe(api, *events: str, **more) -> Subscription:
    return Subscription.objects.create(
        team=api.team, **{"url": RECEIVER, "events": events or ["render.completed"], "secret": "x", **more}
    )


def claim(render: Render) -> statements.Claim:
    taken = statements.claim(render.id, lease_seconds=3600)
    assert taken is not None
    return taken


def complete(taken: statements.Claim) -> statements.Ended | None:
    """Do what a worker does that has stored its files; they are not in the store."""
    files = [
        statements.StoredFile(each, f"{taken.visibility}/{taken.render_id}.{each}", "application/pdf", 3, "0" * 64)
        for each in taken.formats or [taken.format]
    ]
    return statements.complete(taken, files=files, pages=1, report={})


def fail(taken: statements.Claim, error: str = "No.") -> statements.Ended | None:
    return statements.fail(taken.render_id, attempt=taken.attempt, error=error, code="template_error")


def events_of(render: Render) -> list[Event]:
    return list(Event.objects.filter(render_id=render.id))


def body_of(render: Render) -> str:
    return Event.objects.get(render_id=render.id).body


def deliveries_of(render: Render) -> list[Delivery]:
    return list(Delivery.objects.filter(event__render_id=render.id).order_by("receiver"))


def attempt(delivery: Delivery, claim: int = 1, **more) -> Attempt:
    """A row as the sender writes it, of an attempt under way unless more is said."""
    return Attempt.objects.create(delivery=delivery, claim=claim, url=RECEIVER, **more)
