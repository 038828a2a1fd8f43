"""A file of the store as an answer to GET or HEAD: conditions, ranges, and the headers that go with the bytes."""

import datetime as dt
from http import HTTPStatus
from typing import Final, NamedTuple

from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date

from automette.lib import store

_MAX_DIGITS: Final = 40  # of both ends of a range; above 4,300 Python would raise ValueError


class ServedFile(NamedTuple):
    """What its readers are told of a file."""

    key: str
    format: str
    media_type: str
    size_bytes: int
    sha256: str
    disposition: str
    cache_control: str
    modified_at: dt.datetime | None = None

    @property
    def etag(self) -> str:
        return f'"{self.sha256}"'


def answer_with(request: HttpRequest, file: ServedFile) -> HttpResponseBase:
    """Return the file, the range of it that is asked for (206), or 304, 412, 416: those have nothing to be cached.

    The bytes go through in pieces, and no database connection is held meanwhile. HEAD and 304 do without the store.
    Raises store.ObjectMissingError and store.StoreUnavailableError.
    """
    modified = int(file.modified_at.timestamp()) if file.modified_at else None
    unchanged = get_conditional_response(request, etag=file.etag, last_modified=modified)
    if unchanged is not None:
        unchanged["ETag"] = file.etag
        if unchanged.status_code == HTTPStatus.NOT_MODIFIED:  # not for a failed precondition: errors are not kept
            unchanged["Cache-Control"] = file.cache_control
            _tell_time(unchanged, file)
        return unchanged
    response = _body(request, file)
    return _with_headers(response, file) if response.status_code < HTTPStatus.BAD_REQUEST else response


def _with_headers(response: HttpResponseBase, file: ServedFile) -> HttpResponseBase:
    response["ETag"] = file.etag
    response["Cache-Control"] = file.cache_control
    _tell_time(response, file)
    response["Content-Disposition"] = file.disposition
    response["X-Content-Type-Options"] = "nosniff"
    if file.format == "svg":  # the only format that can run scripts; browsers' PDF viewers do not work in a sandbox
        response["Content-Security-Policy"] = (
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
        )
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Access-Control-Allow-Origin"] = "*"
    response["Accept-Ranges"] = "bytes"
    return response


def _tell_time(response: HttpResponseBase, file: ServedFile) -> None:
    if file.modified_at is not None:
        response["Last-Modified"] = http_date(file.modified_at.timestamp())


def _body(request: HttpRequest, file: ServedFile) -> HttpResponseBase:
    if request.method == "HEAD":
        return HttpResponse(content_type=file.media_type, headers={"Content-Length": str(file.size_bytes)})
    wanted = _range(request, file)
    if wanted == ():
        headers = {"Content-Range": f"bytes */{file.size_bytes}"}
        return HttpResponse(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    connection.close()  # back to the pool: a reader with a slow line keeps this thread for long
    first, last = wanted or (0, file.size_bytes - 1)
    _, chunks = store.stream(file.key, byte_range=f"bytes={first}-{last}" if wanted else None)
    response = StreamingHttpResponse(chunks, status=206 if wanted else 200, content_type=file.media_type)
    response["Content-Length"] = str(last - first + 1)
    if wanted:
        response["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    return response


def _range(request: HttpRequest, file: ServedFile) -> tuple[int, int] | tuple[()] | None:
    """Return the one asked range, () when it cannot be satisfied, None to send everything (RFC 9110, 14.2)."""
    header = request.headers.get("Range", "")
    if not header.startswith("bytes=") or "," in header or request.headers.get("If-Range", file.etag) != file.etag:
        return None
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    digits = first + last
    if not dash or not digits.isascii() or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return None
    size = file.size_bytes
    if not first:
        length = min(int(last), size)
        return (size - length, size - 1) if length else ()
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end) if start < size else ()
