from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest

from accounts.admin import LookOnlyAdmin
from automette.lib.errors import DomainError
from webhooks.models import Attempt, Delivery, Event, Subscription
from webhooks.redelivery import redeliver
from webhooks.services import update_subscription

if TYPE_CHECKING:
    from django.db.models import QuerySet


@admin.register(Subscription)
class SubscriptionAdmin(LookOnlyAdmin):
    """Callers make them and see their secrets; nobody sees them here."""

    list_display = ["id", "enabled", "failure_count", "url", "team", "disabled_reason", "created_at", "deleted_at"]
    list_select_related = ["team"]
    list_filter = ["enabled", "signature_key"]
    search_fields = ["id", "url"]
    exclude = ["secret", "previous_secret"]
    show_full_result_count = False
    actions = ["enable_again"]

    def has_enable_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.change_subscription"))

    @admin.action(description="Enable again", permissions=["enable"])
    def enable_again(self, request: HttpRequest, queryset: "QuerySet[Subscription]") -> None:
        for subscription in queryset.filter(deleted_at=None).select_related("team"):
            update_subscription(
                team=subscription.team,
                actor=str(request.user),
                subscription_id=subscription.id,
                changes={"enabled": True},
            )


@admin.register(Event)
class EventAdmin(LookOnlyAdmin):
    list_display = ["id", "name", "team", "render_id", "created_at"]
    list_select_related = ["team"]
    list_filter = ["name"]
    search_fields = ["id", "render_id"]
    show_full_result_count = False


class AttemptInline(admin.TabularInline):
    model = Attempt
    extra = 0
    ordering = ["-claim"]
    readonly_fields = fields = (
        "claim",
        "manual",
        "url",
        "success",
        "http_status",
        "error",
        "milliseconds",
        "created_at",
        "finished_at",
    )
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(LookOnlyAdmin):
    list_display = ["id", "status", "claim", "next_attempt_at", "delivered_at", "team", "event", "receiver", "manual"]
    list_select_related = ["team", "event"]
    list_filter = ["status", "manual"]
    search_fields = ["id", "event__id", "receiver"]
    show_full_result_count = False
    inlines = [AttemptInline]
    actions = ["send_again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.change_delivery"))

    @admin.action(description="Redeliver", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: "QuerySet[Delivery]") -> None:
        for delivery in queryset.select_related("team"):
            try:
                redeliver(team=delivery.team, actor=str(request.user), delivery_id=delivery.id)
            except DomainError as error:
                self.message_user(request, f"{delivery.id}: {error.message}", messages.WARNING)


@admin.register(Attempt)
class AttemptAdmin(LookOnlyAdmin):
    list_display = [
        "id",
        "delivery_id",
        "claim",
        "success",
        "http_status",
        "error_code",
        "milliseconds",
        "created_at",
    ]
    list_filter = ["success"]
    search_fields = ["id", "delivery__id"]
    show_full_result_count = False
