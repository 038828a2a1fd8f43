"""`/ondemand/{url_base}/image.{ext}?data=...&s=...`: what visitors and CDNs fetch."""

import re
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt

from automette.lib import store
from automette.lib.errors import DomainError, NotFoundError
from automette.lib.http import error_body, error_response
from ondemand import signatures
from ondemand.fetching import NotReadyError, NotRenderedError, WrongSignatureError, fetch_document
from renders.file_answers import answer_with

log = structlog.get_logger(__name__)

_ADDRESS: Final = re.compile(r"([A-Za-z0-9]{16})/image\.([\s\S]*)")
_EXTENSION: Final = re.compile(r"[a-z]{2,5}")
_STATUS_OF: Final = {
    NotFoundError.code: HTTPStatus.NOT_FOUND,
    WrongSignatureError.code: HTTPStatus.FORBIDDEN,
    NotReadyError.code: HTTPStatus.SERVICE_UNAVAILABLE,
    NotRenderedError.code: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_OTHER_REFUSALS: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: "This address can only be read: GET, HEAD or OPTIONS.",
    HTTPStatus.PRECONDITION_FAILED: "The document is not as the request demands it.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The document has no such range of bytes.",
}
_METHODS: Final = "GET, HEAD, OPTIONS"
_RETRY_SECONDS: Final = "5"
_DAY_SECONDS: Final = "86400"
_READABLE: Final = "Accept-Ranges, Content-Disposition, Content-Range, ETag"


@method_decorator([csrf_exempt, xframe_options_exempt], name="dispatch")
class SignedDocumentView(View):
    """No key, no cookie, nothing that differs by who asks: one answer for every visitor, which caches may keep.

    Refusals are JSON, the same bytes for the same status, and are never kept.
    """

    http_method_names = ["get", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except DomainError as error:
            response = _refusal(_STATUS_OF[error.code], error.message)
        except (OperationalError, InterfaceError, store.StoreUnavailableError, store.ObjectMissingError) as error:
            response = _unavailable(error)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = _READABLE
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    def get(self, request: HttpRequest, address: str) -> HttpResponseBase:
        place = _ADDRESS.fullmatch(address)
        if place is None:
            raise NotFoundError
        token, extension = place.groups()
        query = signatures.read_query(request.META.get("QUERY_STRING", ""))
        if query is None or not _EXTENSION.fullmatch(extension) or not _is_literal(request, address):
            raise WrongSignatureError
        response = answer_with(request, fetch_document(token=token, extension=extension, query=query))
        status = HTTPStatus(response.status_code)
        if status not in _OTHER_REFUSALS:
            return response
        told = {"Content-Range": response["Content-Range"]} if "Content-Range" in response else {}
        return _refusal(status, _OTHER_REFUSALS[status], **told)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a browser that asks before a script's request, without looking whether the document is there."""
        headers = {
            "Allow": _METHODS,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": "*",
            "Access-Control-Max-Age": _DAY_SECONDS,
        }
        return HttpResponse(headers=headers)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return _refusal(status, _OTHER_REFUSALS[status], Allow=_METHODS)


def _unavailable(error: Exception) -> HttpResponse:
    log.error("signed_document_unavailable", error=type(error).__name__)
    return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, NotReadyError().message)


def _is_literal(request: HttpRequest, address: str) -> bool:
    """Tell whether the request line had exactly this address and this query, nothing escaped and nothing after it.

    Gunicorn tells its words; a server that does not leaves us with the path that it has decoded.
    """
    line = request.META.get("RAW_URI")
    return line is None or str(line).endswith(f"/ondemand/{address}?{request.META['QUERY_STRING']}")


def _refusal(status: HTTPStatus, sentence: str, **headers: str) -> HttpResponse:
    response = error_response(error_body(sentence), status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = _RETRY_SECONDS
    for name, value in headers.items():
        response[name] = value
    return response
