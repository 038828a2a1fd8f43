"""`/renders/{id}.{ext}`: public files, served from the store when no CDN points at the bucket itself."""

from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.clickjacking import xframe_options_exempt

from automette.lib import store
from renders.models import RenderFile
from renders.services import disposition, find_public_file, seconds_readable

_YEAR_SECONDS: Final = 31_536_000  # what caches take for "for ever"


@method_decorator(xframe_options_exempt, name="dispatch")
class PublicFileView(View):
    """GET and HEAD with ETag, Range and immutable caching; no key, no cookie."""

    http_method_names = ["get", "head", "options"]

    def get(self, request: HttpRequest, render_id: str, extension: str) -> HttpResponseBase:
        file = find_public_file(render_id=render_id, extension=extension)
        if file is None:
            return HttpResponse("Not found.\n", status=404, content_type="text/plain; charset=utf-8")
        etag = f'"{file.sha256}"'
        unchanged = get_conditional_response(request, etag=etag)
        if unchanged is not None:
            unchanged["ETag"] = etag
            if unchanged.status_code == HTTPStatus.NOT_MODIFIED:  # not for a failed precondition: errors are not kept
                unchanged["Cache-Control"] = _cache_control(file)
            return unchanged
        response = _body(request, file, etag)
        return _with_headers(response, file, etag) if response.status_code < HTTPStatus.BAD_REQUEST else response


def _cache_control(file: RenderFile) -> str:
    return f"public, max-age={seconds_readable(file.render, most=_YEAR_SECONDS)}, immutable"


def _with_headers(response: HttpResponseBase, file: RenderFile, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Cache-Control"] = _cache_control(file)
    response["Content-Disposition"] = disposition(file.render, file)
    response["X-Content-Type-Options"] = "nosniff"
    if file.format == "svg":  # the only format that can run scripts; browsers' PDF viewers do not work in a sandbox
        response["Content-Security-Policy"] = (
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
        )
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Access-Control-Allow-Origin"] = "*"
    response["Accept-Ranges"] = "bytes"
    return response


def _body(request: HttpRequest, file: RenderFile, etag: str) -> HttpResponseBase:
    if request.method == "HEAD":
        return HttpResponse(content_type=file.media_type, headers={"Content-Length": str(file.size_bytes)})
    wanted = _range(request, file.size_bytes, etag)
    if wanted == ():
        headers = {"Content-Range": f"bytes */{file.size_bytes}"}
        return HttpResponse(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    try:
        first, last = wanted or (0, file.size_bytes - 1)
        _, chunks = store.stream(file.key, byte_range=f"bytes={first}-{last}" if wanted else None)
    except (store.ObjectMissingError, store.StoreUnavailableError):
        return HttpResponse(
            "The file store is not reachable. Try again.\n",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": "2", "Cache-Control": "no-store"},
        )
    response = StreamingHttpResponse(chunks, status=206 if wanted else 200, content_type=file.media_type)
    response["Content-Length"] = str(last - first + 1)
    if wanted:
        response["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    return response


def _range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | tuple[()] | None:
    """Return the one asked range, () when it cannot be satisfied, None to send everything (RFC 9110, 14.2)."""
    header = request.headers.get("Range", "")
    if not header.startswith("bytes=") or "," in header or request.headers.get("If-Range", etag) != etag:
        return None
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    if not dash or not (first + last).isascii() or not (first + last).isdigit():
        return None
    if not first:
        length = min(int(last), size)
        return (size - length, size - 1) if length else ()
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end) if start < size else ()
