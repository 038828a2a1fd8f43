from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import ApiKey, AuditEntry, IdempotentRequest, Membership, Project, Team


class LookOnlyAdmin(admin.ModelAdmin):
    """Rows that the product writes and people only read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    """Teams can be renamed here, and told after how long their files expire.

    They are made by `create_team`, with the project and the credits every team has.
    """

    list_display = ["name", "id", "files_expire_after_seconds", "created_at"]
    search_fields = ["name", "id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ["user", "team", "role", "created_at"]
    list_select_related = ["user", "team"]
    autocomplete_fields = ["team"]


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["name", "team", "is_default", "created_at"]
    list_select_related = ["team"]
    search_fields = ["name"]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys can be named, given an end or revoked here; they are made by `create_api_key`, which shows them once."""

    list_display = ["hint", "name", "team", "created_at", "last_used_at", "expires_at", "revoked_at"]
    list_select_related = ["team"]
    search_fields = ["name", "hint"]
    readonly_fields = ["team", "digest", "hint", "last_used_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(LookOnlyAdmin):
    list_display = ["created_at", "action", "actor", "subject", "team"]
    list_filter = ["action"]
    search_fields = ["subject", "actor", "request_id"]


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(LookOnlyAdmin):
    list_display = ["created_at", "route", "key", "team", "status", "render_id"]
    list_select_related = ["team"]
    search_fields = ["key", "render_id"]
