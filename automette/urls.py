from django.contrib import admin
from django.urls import path, re_path, register_converter

from automette import health, metrics
from automette.documentation import DocumentationView, OpenApiView
from automette.home import home
from credits.views import CreditsView, LedgerView
from ondemand.signed_documents import SignedDocumentView
from ondemand.views import SignView, UrlBaseView
from renders.job_views import JobListView, JobView
from renders.public_files import PublicFileView
from renders.views import RenderListView, RenderView
from templates_app.asset_views import AssetListView, AssetView
from templates_app.font_views import FontFamilyListView, FontListView, FontView
from templates_app.version_views import TemplatePublishView, VersionListView, VersionView
from templates_app.views import TemplateListView, TemplateView
from webhooks.delivery_views import (
    DeliveryListView,
    DeliveryView,
    RedeliverSinceView,
    RedeliverView,
    SubscriptionTestView,
)
from webhooks.views import SecretRotationView, SubscriptionListView, SubscriptionView


class ResourceId:
    """Only what can be an id reaches a view: everything else is the same 404."""

    regex = "c[0-9a-z]{24}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ResourceId, "id")

urlpatterns = [
    path("", home),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("admin/", admin.site.urls),
    path("docs", DocumentationView.as_view()),
    re_path(r"^renders/(?P<render_id>c[0-9a-z]{24})\.(?P<extension>[a-z0-9]{2,5})$", PublicFileView.as_view()),
    re_path(r"^ondemand/(?P<address>[\s\S]+)\Z", SignedDocumentView.as_view()),
    path("api/v1/openapi.json", OpenApiView.as_view()),
    path("api/v1/credits", CreditsView.as_view()),
    path("api/v1/credits/ledger", LedgerView.as_view()),
    path("api/v1/templates", TemplateListView.as_view()),
    path("api/v1/templates/<id:template_id>", TemplateView.as_view()),
    path("api/v1/templates/<id:template_id>/publish", TemplatePublishView.as_view()),
    path("api/v1/templates/<id:template_id>/versions", VersionListView.as_view()),
    path("api/v1/templates/<id:template_id>/versions/<int:number>", VersionView.as_view()),
    path("api/v1/templates/<id:template_id>/url_base", UrlBaseView.as_view()),
    path("api/v1/sign", SignView.as_view()),
    path("api/v1/assets", AssetListView.as_view()),
    path("api/v1/assets/<id:asset_id>", AssetView.as_view()),
    path("api/v1/fonts", FontListView.as_view()),
    path("api/v1/fonts/<id:font_id>", FontView.as_view()),
    path("api/v1/font_families", FontFamilyListView.as_view()),
    path("api/v1/renders", RenderListView.as_view()),
    path("api/v1/renders/<id:render_id>", RenderView.as_view()),
    path("api/v1/jobs", JobListView.as_view()),
    path("api/v1/jobs/<id:job_id>", JobView.as_view()),
    path("api/v1/webhooks", SubscriptionListView.as_view()),
    path("api/v1/webhooks/<id:webhook_id>", SubscriptionView.as_view()),
    path("api/v1/webhooks/<id:webhook_id>/test", SubscriptionTestView.as_view()),
    path("api/v1/webhooks/<id:webhook_id>/rotate_secret", SecretRotationView.as_view()),
    path("api/v1/webhooks/<id:webhook_id>/deliveries", DeliveryListView.as_view()),
    path("api/v1/webhooks/<id:webhook_id>/redeliver", RedeliverSinceView.as_view()),
    path("api/v1/webhook_deliveries/<id:delivery_id>", DeliveryView.as_view()),
    path("api/v1/webhook_deliveries/<id:delivery_id>/redeliver", RedeliverView.as_view()),
]
handler400 = "automette.lib.http.bad_request"
handler404 = "automette.lib.http.not_found"
handler500 = "automette.lib.http.server_error"
