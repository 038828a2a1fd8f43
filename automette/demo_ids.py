"""Ids of the demo team that can stand in the documentation's examples, while `make run` shows its documents."""

from typing import Any

from django.conf import settings

from accounts.models import Team
from automette import openapi_examples as made_up
from demo.playground import NAME as PLAYGROUND
from templates_app.assets import visible_assets
from webhooks.models import Delivery
from webhooks.services import live_subscriptions


def find() -> dict[str, str]:
    """Return real ids by the made-up ones; without those of which the team has none."""
    team = Team.objects.filter(name="Demo").order_by("id").first() if settings.SHOW_DEMO_DOCUMENTS else None
    if team is None:
        return {}
    templates = team.templates.live()
    newest: dict[str, Any] = {
        made_up.TEMPLATE_ID: templates.filter(name=PLAYGROUND),
        made_up.CANVAS_TEMPLATE_ID: templates.filter(engine="canvas"),
        made_up.WORD_TEMPLATE_ID: templates.filter(engine="docx"),
        made_up.PROJECT_ID: team.projects.all(),
        made_up.RENDER_ID: team.renders.kept().filter(status="completed"),
        made_up.JOB_ID: team.jobs.all(),
        made_up.ASSET_ID: visible_assets(team=team),
        made_up.FONT_ID: team.fonts.all(),
        made_up.WEBHOOK_ID: live_subscriptions(team=team),
        made_up.DELIVERY_ID: Delivery.objects.filter(team=team, subscription__deleted_at=None),
    }
    found = {name: rows.order_by("-id").values_list("id", flat=True).first() for name, rows in newest.items()}
    return {name: str(id_) for name, id_ in found.items() if id_ is not None}
