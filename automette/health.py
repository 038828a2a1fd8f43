"""`/livez`: this process answers. `/readyz`: which of the parts a render needs are up."""

from collections.abc import Callable
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from automette.lib import store, worker_status

Check = dict[str, Any]


def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when documents can be made now, else 503; LibreOffice is reported but only DOCX needs it."""
    checks = {**{name: _attempt(check) for name, check in PARTS.items()}, **_workers()}
    ready = all(check["ok"] for name, check in checks.items() if name != "libreoffice")
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503)


def _attempt(check: Callable[[], None]) -> Check:
    try:
        check()
    except UNAVAILABLE as error:
        return {"ok": False, "problem": type(error).__name__}
    return {"ok": True}


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()


PARTS: Final[dict[str, Callable[[], None]]] = {"database": _database, "broker": _broker, "store": store.check}
"""The servers that everything needs; each call raises one of UNAVAILABLE when its server is away."""
UNAVAILABLE: Final = (DatabaseError, redis.RedisError, store.StoreUnavailableError)


def _workers() -> dict[str, Check]:
    try:
        reports = list(worker_status.workers().values())
    except redis.RedisError:
        reports = []
    if not reports:
        unknown = {"ok": False, "problem": "No worker has reported in the last 20 seconds. Is one running?"}
        return {"engine_isolation": unknown, "libreoffice": unknown}
    missing = sorted({name for report in reports for one in report["engines"].values() for name in one["missing"]})
    active = sorted(
        {
            name
            for report in reports
            for one in report["engines"].values()
            for name, on in one["isolation"].items()
            if on
        }
    )
    # Workers with layers missing run only where the operator has asked for it, so they are ready and say so.
    isolation: Check = {"ok": True, "complete": not missing, "workers": len(reports), "active": active}
    if missing:
        isolation["problem"] = f"For trusted templates only; engine children could: {', '.join(missing)}."
    office: Check = {"ok": all(report["libreoffice"] for report in reports)}
    if not office["ok"]:
        office["problem"] = (
            "LibreOffice is not installed (Debian: libreoffice-writer-nogui): DOCX to PDF will not work."
        )
    return {"engine_isolation": isolation, "libreoffice": office}
