"""`/docs`, where every operation can be tried, and the OpenAPI document that it reads; all of it is served by us."""

from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class OpenApiView(SpectacularJSONAPIView):
    """The document, with values of this server in the examples."""

    permission_classes: Any = []
    authentication_classes: Any = []

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # as it is there
        response["Cache-Control"] = "no-cache" if settings.SHOW_DEMO_DOCUMENTS else "max-age=60"
        return response


class DocumentationView(SpectacularSwaggerSplitView):
    """Swagger UI; its script is a document of its own, so that the page needs no script in its text."""

    permission_classes: Any = []
    authentication_classes: Any = []
    url = "/api/v1/openapi.json"
    url_self = "/docs"
    template_name_js = "documentation.js"  # the package's own adds a CSRF token to each request, which we do not need

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # as it is there
        response["Content-Security-Policy"] = _POLICY
        return response
