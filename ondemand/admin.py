from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import LookOnlyAdmin
from ondemand.models import SignedDocument, UrlBase
from ondemand.services import revoke_url_base


@admin.register(UrlBase)
class UrlBaseAdmin(LookOnlyAdmin):
    """The signing key is not shown, not even encrypted; nor are those that ended with their template."""

    list_display = ["token", "template", "team", "created_at"]
    list_select_related = ["template", "team"]
    search_fields = ["token", "template__id", "template__name", "team__name"]
    exclude = ["signing_key"]
    readonly_fields = ["token", "created_at"]
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[UrlBase]:
        return super().get_queryset(request).filter(template__deleted_at=None)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("ondemand.delete_urlbase"))

    @admin.action(description="Revoke: every URL signed under it ends at once", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[UrlBase]) -> None:
        for base in chosen.select_related("team"):
            revoke_url_base(team=base.team, actor=f"operator:{request.user.pk}", template_id=base.template_id)
        self.message_user(request, "Revoked.")


@admin.register(SignedDocument)
class SignedDocumentAdmin(LookOnlyAdmin):
    list_display = ["id", "url_base", "render", "previous_render", "created_at"]
    list_select_related = ["url_base", "render", "previous_render"]
    search_fields = ["id", "url_base__token", "render__id"]
    show_full_result_count = False
