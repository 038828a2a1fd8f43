from django.contrib import admin

from accounts.admin import LookOnlyAdmin
from renders.models import Job, ObjectDeletion, Render, RenderFile


@admin.register(Job)
class JobAdmin(LookOnlyAdmin):
    list_display = ["id", "source", "team", "created_at"]
    list_select_related = ["team"]
    list_filter = ["source"]
    search_fields = ["id"]
    show_full_result_count = False


@admin.register(Render)
class RenderAdmin(LookOnlyAdmin):
    list_display = [
        "id",
        "status",
        "template_name",
        "formats",
        "team",
        "attempt",
        "created_at",
        "finished_at",
        "expires_at",
        "deleted_at",
        "error",
    ]
    list_select_related = ["team"]
    list_filter = ["status", "format", "visibility"]
    search_fields = ["id", "template_name"]
    show_full_result_count = False


@admin.register(RenderFile)
class RenderFileAdmin(LookOnlyAdmin):
    list_display = ["key", "media_type", "size_bytes", "created_at"]
    search_fields = ["key"]
    show_full_result_count = False


@admin.register(ObjectDeletion)
class ObjectDeletionAdmin(LookOnlyAdmin):
    list_display = ["key", "delete_at", "uploads_end_at"]
    search_fields = ["key"]
    show_full_result_count = False
