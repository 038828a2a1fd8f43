"""The page at `/`: what this server is and where to go from here."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from renders.models import Render


def home(request: HttpRequest) -> HttpResponse:
    """Link to everything; under `make run` also to the newest document of each starter template."""
    words = {
        "public_url": settings.PUBLIC_URL,
        "data_folder": settings.AUTOMETTE_DATA,
        "documents": _newest_documents() if settings.SHOW_DEMO_DOCUMENTS else [],
    }
    return render(request, "home.html", words)


def _newest_documents() -> list[Render]:
    return list(
        Render.objects.filter(team__name="Demo", status=Render.Status.COMPLETED, visibility=Render.Visibility.PUBLIC)
        .kept()
        .defer("data")
        .order_by("template_id", "-id")
        .distinct("template_id")
    )
