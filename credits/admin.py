from django.contrib import admin

from accounts.admin import LookOnlyAdmin
from credits.models import CreditAccount, LedgerEntry


@admin.register(CreditAccount)
class CreditAccountAdmin(LookOnlyAdmin):
    """To change a balance use `grant_credits`, which writes the ledger too."""

    list_display = ["team", "credit_balance", "overage_limit", "monthly_credits", "resets_at"]
    list_select_related = ["team"]
    search_fields = ["team__name"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(LookOnlyAdmin):
    list_display = ["created_at", "team", "kind", "amount", "balance_after", "render_id", "actor"]
    list_select_related = ["team"]
    list_filter = ["kind"]
    search_fields = ["render_id", "team__name"]
    show_full_result_count = False
