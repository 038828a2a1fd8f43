"""One id per request: in the answer, in every log line, in audit rows."""

import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

log = structlog.get_logger(__name__)

HEADER = "X-Request-Id"


def request_id_of(request: HttpRequest) -> str:
    """Return the request's id (a UUID in its usual text form)."""
    return getattr(request, "request_id", "")


def _kept_or_new(candidate: str) -> str:
    try:
        return str(uuid.UUID(candidate))
    except ValueError:
        return str(uuid.uuid4())


class RequestIdMiddleware:
    """Keep a valid UUID that the caller sent, else make one; log one line per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = _kept_or_new(request.headers.get(HEADER, ""))
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response[HEADER] = request_id
        log.info(
            "request_finished",
            method=request.method,
            path=request.path,
            status=response.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
        )
        return response
