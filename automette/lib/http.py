"""The edges of the HTTP API: bodies in, errors out, in the contract's shapes."""

from typing import IO, Any, Final, TypeVar

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from rest_framework import exceptions, serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from automette.lib import store
from automette.lib.errors import (
    DomainError,
    IdempotencyConflictError,
    InvalidValueError,
    MalformedRequestError,
    RateLimitedError,
)
from automette.lib.json_text import read_json
from automette.lib.request_id import request_id_of

log = structlog.get_logger(__name__)

STATUS_OF: Final = {
    "malformed_request": 400,
    "insufficient_credits": 402,
    "not_found": 404,
    "conflict": 409,
    "idempotency_conflict": 409,
    "invalid_value": 422,
    "too_early": 425,
    "too_large": 413,
    "rate_limited": 429,
    "worker_unavailable": 503,
}
SERVICE_UNAVAILABLE: Final = 503
_MISSING: Final = {"required", "null", "blank"}

S = TypeVar("S", bound=serializers.Serializer[Any])


class PayloadTooLargeError(exceptions.APIException):
    status_code = 413
    default_code = "payload_too_large"


class StrictJSONParser(BaseParser):
    """JSON as the standard has it: UTF-8, no NaN, bounded size."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        limit: int = settings.MAX_BODY_BYTES
        try:
            raw = stream.read(limit + 1)
        except UnreadablePostError as error:  # the connection broke, or a chunk was not well-formed
            raise MalformedRequestError("The body could not be read to its end.") from error
        if len(raw) > limit:
            raise PayloadTooLargeError(f"The body is larger than {limit:,} bytes.")
        return read_json(raw) if raw.strip() else {}


def parse(serializer_class: type[S], request: Request) -> dict[str, Any]:
    """Return the validated fields of the body.

    Raises MalformedRequestError (400) for a body that is no object or lacks a required field, InvalidValueError
    (422) for a field with a value that is not allowed. Unknown keys are ignored.
    """
    body = request.data
    if not isinstance(body, dict):
        raise MalformedRequestError("The body must be a JSON object.")
    serializer = serializer_class(data=body, context={"request": request})
    if serializer.is_valid():
        return dict(serializer.validated_data)
    found = list(_flatten(serializer.errors))
    required = {name for name, field in serializer.fields.items() if field.required}
    lacks = any(field in required and getattr(detail, "code", "") in _MISSING for field, detail in found)
    message, detail = _sentences(found)
    raise (MalformedRequestError if lacks else InvalidValueError)(message, detail=detail)


def parse_query(serializer_class: type[S], request: Request) -> dict[str, Any]:
    """Return the validated query parameters; raise InvalidValueError (422), also for one that is there twice."""
    serializer = serializer_class(data=request.query_params.dict())
    for name, values in request.query_params.lists():
        if name in serializer.fields and len(values) > 1:
            raise InvalidValueError(f"{name}: Is given more than once.")
    if serializer.is_valid():
        return dict(serializer.validated_data)
    message, detail = _sentences(list(_flatten(serializer.errors)))
    raise InvalidValueError(message, detail=detail)


def _sentences(found: list[tuple[str, Any]]) -> tuple[str, str | None]:
    """Return the first mistake as a sentence, and all of them when there are more."""
    sentences = [f"{field}: {detail}" if field else str(detail) for field, detail in found]
    return sentences[0], " ".join(sentences) if len(sentences) > 1 else None


def _flatten(errors: Any, path: str = "") -> Any:
    if isinstance(errors, dict):
        for key, value in errors.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, ".".join(part for part in (path, name) if part))
    elif isinstance(errors, list):
        for value in errors:
            yield from _flatten(value, path)
    else:
        yield path, errors


def error_body(message: str, detail: str | None = None, **extra: Any) -> dict[str, Any]:
    """Return the contract's error object."""
    return {"error": message, **({"detail": detail} if detail else {}), **extra}


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Turn whatever a view raised into the contract's error answer; unknown exceptions go on to the 500 page."""
    if isinstance(exception, DomainError):
        body = error_body(exception.message, exception.detail, **exception.extra)
        status = STATUS_OF[exception.code]
        return Response(body, status, headers=_retry_after(exception, status))
    if isinstance(exception, Http404 | PermissionDenied):
        return Response(error_body("Not found."), status=404)
    if isinstance(exception, RequestDataTooBig):
        return Response(error_body("The body is too large."), status=413)
    if isinstance(exception, OperationalError | InterfaceError | store.StoreUnavailableError):
        part = "file store" if isinstance(exception, store.StoreUnavailableError) else "database"
        log.error("part_unavailable", part=part, error=str(exception))
        return Response(error_body(f"The {part} is not reachable. Try again."), 503, headers={"Retry-After": "2"})
    if isinstance(exception, exceptions.APIException):
        headers = {}
        if getattr(exception, "auth_header", None):
            headers["WWW-Authenticate"] = exception.auth_header  # type: ignore[attr-defined]
        if getattr(exception, "wait", None):
            headers["Retry-After"] = str(int(exception.wait))  # type: ignore[attr-defined]
        return Response(error_body(_sentence(exception)), exception.status_code, headers=headers)
    return None


def _retry_after(error: DomainError, status: int) -> dict[str, str]:
    if isinstance(error, RateLimitedError | IdempotencyConflictError) and error.retry_after:
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": "2"} if status == SERVICE_UNAVAILABLE else {}


def _sentence(exception: exceptions.APIException) -> str:
    detail = exception.detail
    while isinstance(detail, list | dict):
        detail = next(iter(detail.values() if isinstance(detail, dict) else detail))
    return str(detail)


def error_response(body: dict[str, Any], status: int) -> JsonResponse:
    """Answer outside of REST framework in exactly the bytes that it would write; nobody is to keep it."""
    headers = {"Cache-Control": "no-store"}
    how = {"separators": (",", ":"), "ensure_ascii": False}
    return JsonResponse(body, status=status, headers=headers, json_dumps_params=how)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/v1/", "/ondemand/"))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer unknown paths: JSON under the API, one line of text elsewhere."""
    if _is_api(request):
        return error_response(error_body("Not found."), 404)
    return HttpResponse("Not found.\n", status=404, content_type="text/plain; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses before a view is found (a forbidden Host header, say)."""
    if _is_api(request):
        return error_response(error_body("Bad request."), 400)
    return HttpResponse("Bad request.\n", status=400, content_type="text/plain; charset=utf-8")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an unforeseen exception with the request id and nothing internal."""
    message = "Something went wrong on our side. It is safe to try again."
    if _is_api(request):
        return error_response(error_body(message, f"Request id: {request_id_of(request)}"), 500)
    return HttpResponse(f"{message}\n", status=500, content_type="text/plain; charset=utf-8")
