from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin import LookOnlyAdmin
from credits.models import CreditAccount, LedgerEntry, Plan


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    """Other credits reach the plan's teams at their next reset, other limits within a minute."""

    list_display = [
        "name",
        "slug",
        "monthly_credits",
        "overage_limit",
        "requests_per_minute",
        "running_renders",
        "sync_waiters",
    ]
    search_fields = ["name", "slug"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the slug once it is there: commands and scripts know the plan by it."""
        return ["slug"] if obj else []


@admin.register(CreditAccount)
class CreditAccountAdmin(LookOnlyAdmin):
    """To change a balance use `grant_credits`, which writes the ledger too; to change the terms use `set_plan`."""

    list_display = ["team", "plan", "credit_balance", "overage_limit", "monthly_credits", "resets_at"]
    list_select_related = ["team", "plan"]
    list_filter = ["plan"]
    search_fields = ["team__name"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(LookOnlyAdmin):
    list_display = ["created_at", "team", "kind", "amount", "balance_after", "render_id", "actor"]
    list_select_related = ["team"]
    list_filter = ["kind"]
    search_fields = ["render_id", "team__name"]
    show_full_result_count = False
