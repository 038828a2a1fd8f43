from django.contrib import admin

from accounts.admin import LookOnlyAdmin
from templates_app.models import Asset, Font, Template, TemplateVersion


@admin.register(Template)
class TemplateAdmin(LookOnlyAdmin):
    list_display = ["name", "engine", "team", "current_version", "updated_at", "deleted_at"]
    list_select_related = ["team", "current_version__template"]
    list_filter = ["engine", ("deleted_at", admin.EmptyFieldListFilter)]
    search_fields = ["name", "slug", "id", "team__name"]


@admin.register(TemplateVersion)
class TemplateVersionAdmin(LookOnlyAdmin):
    list_display = ["template", "number", "created_at"]
    list_select_related = ["template"]
    search_fields = ["template__name", "template__id"]


@admin.register(Asset)
class AssetAdmin(LookOnlyAdmin):
    list_display = ["name", "team", "template", "media_type", "size_bytes", "updated_at"]
    list_select_related = ["team", "template"]
    search_fields = ["name", "id", "team__name", "template__id", "sha256"]


@admin.register(Font)
class FontAdmin(LookOnlyAdmin):
    list_display = ["filename", "families", "team", "size_bytes", "created_at"]
    list_select_related = ["team"]
    search_fields = ["filename", "families", "id", "team__name", "sha256"]
