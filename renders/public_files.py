"""`/renders/{id}.{ext}`: public files, served from the store when no CDN points at the bucket itself."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.clickjacking import xframe_options_exempt

from automette.lib import store
from renders.file_answers import ServedFile, answer_with
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
        try:
            return answer_with(request, _served(file))
        except (store.ObjectMissingError, store.StoreUnavailableError):
            return HttpResponse(
                "The file store is not reachable. Try again.\n",
                status=503,
                content_type="text/plain; charset=utf-8",
                headers={"Retry-After": "2", "Cache-Control": "no-store"},
            )


def _served(file: RenderFile) -> ServedFile:
    return ServedFile(
        key=file.key,
        format=file.format,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        disposition=disposition(file.render, file),
        cache_control=f"public, max-age={seconds_readable(file.render, most=_YEAR_SECONDS)}, immutable",
    )
