import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
_django = get_wsgi_application()


def application(environ, start_response):  # type: ignore[no-untyped-def]
    """Django's application, which would take a chunked body for an empty one: it reads what Content-Length says.

    The server marks the end of such a body itself, so the largest length we take is announced instead: one byte
    above the limit, so that a body that reaches it is refused.
    """
    if environ.get("wsgi.input_terminated") and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        environ["CONTENT_LENGTH"] = str(settings.MAX_BODY_BYTES + 1)
    return _django(environ, start_response)
