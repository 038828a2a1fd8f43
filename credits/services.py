"""Credits: opening an account, granting, reading. Charges and refunds happen inside a render's own transactions."""

import datetime as dt
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Team
from automette.lib.errors import DomainError, InvalidValueError
from credits.models import CreditAccount, LedgerEntry

MAX_CREDITS: Final = 10**12
_LAST_DAY_OF_ALL_MONTHS: Final = 28


class InsufficientCreditsError(DomainError):
    """The team has no credit left; nothing was created."""

    code = "insufficient_credits"

    def __init__(self, *, account: CreditAccount, required: int) -> None:
        super().__init__(
            "Insufficient credits",
            extra={
                "required_credits": required,
                "available_credits": account.available_credits,
                "credit_balance": account.credit_balance,
                "overage_limit": account.overage_limit,
            },
        )


def open_account(*, team: Team, monthly_credits: int, overage_limit: int = 0, actor: str) -> CreditAccount:
    """Give a new team its account, filled with the first month's credits."""
    if not (0 <= monthly_credits <= MAX_CREDITS and 0 <= overage_limit <= MAX_CREDITS):
        raise InvalidValueError(f"Credits and overage must be from 0 to {MAX_CREDITS:,}.")
    now = timezone.now()
    with transaction.atomic():
        account = CreditAccount.objects.create(
            team=team,
            credit_balance=monthly_credits,
            overage_limit=overage_limit,
            monthly_credits=monthly_credits,
            period_started_at=now,
            resets_at=next_reset(now),
        )
        _write(account, kind=LedgerEntry.Kind.GRANT, amount=monthly_credits, actor=actor)
    return account


def grant_credits(*, team: Team, amount: int, actor: str) -> CreditAccount:
    """Add credits to a team's balance (a negative amount takes some back, not below the overage limit)."""
    if abs(amount) > MAX_CREDITS:
        raise InvalidValueError(f"At most {MAX_CREDITS:,} credits at a time.")
    with transaction.atomic():
        changed = CreditAccount.objects.filter(team=team, credit_balance__gte=-F("overage_limit") - amount).update(
            credit_balance=F("credit_balance") + amount
        )
        if not changed:
            raise InvalidValueError("The balance may not fall below the overage limit.")
        account = CreditAccount.objects.get(team=team)
        kind = LedgerEntry.Kind.GRANT if amount >= 0 else LedgerEntry.Kind.ADJUST
        _write(account, kind=kind, amount=amount, actor=actor)
    return account


def next_reset(moment: dt.datetime) -> dt.datetime:
    """Return the same day and time one month later (the 28th for days that not every month has)."""
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)  # noqa: PLR2004
    return moment.replace(year=year, month=month, day=min(moment.day, _LAST_DAY_OF_ALL_MONTHS))


def _write(account: CreditAccount, *, kind: LedgerEntry.Kind, amount: int, actor: str) -> None:
    LedgerEntry.objects.create(
        team_id=account.team_id, kind=kind, amount=amount, balance_after=account.credit_balance, actor=actor
    )
