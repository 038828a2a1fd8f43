import os
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import InputStream, StartResponse, WSGIEnvironment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
_django = get_wsgi_application()


class _ChunkedBody:
    """The server's stream, whose complaint about a broken chunk is an OSError as for any other broken body."""

    def __init__(self, stream: "InputStream") -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._or_os_error(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._or_os_error(self._stream.readline, size)

    def _or_os_error(self, read: "Callable[[int], bytes]", size: int) -> bytes:
        try:
            return read(size)
        except Exception as error:  # each server has exceptions of its own here
            raise OSError("The chunked body is not well-formed.") from error


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
    """Django's application, which would take a chunked body for an empty one: it reads what Content-Length says.

    The server marks the end of such a body itself, so the largest length we take is announced instead: one byte
    above the limit, so that a body that reaches it is refused.
    """
    if environ.get("wsgi.input_terminated") and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        environ["CONTENT_LENGTH"] = str(settings.MAX_BODY_BYTES + 1)
        environ["wsgi.input"] = _ChunkedBody(environ["wsgi.input"])
    return _django(environ, start_response)
