"""Credits: opening an account, plans, granting, reading. A render's own transactions charge and refund."""

from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BooleanField, DateTimeField, ExpressionWrapper, F, Func, Q, Value
from django.db.models.functions import Now

from accounts.models import Team
from accounts.services import record_audit
from automette.lib.errors import DomainError, InvalidValueError
from credits.models import MAX_CREDITS, MAX_LIMIT, CreditAccount, LedgerEntry, Plan
from credits.resets import reset_if_due


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


class Terms(NamedTuple):
    """What a team may have of its own instead of its plan's; None where it has not."""

    monthly_credits: int | None = None
    overage_limit: int | None = None
    requests_per_minute: int | None = None
    running_renders: int | None = None
    sync_waiters: int | None = None

    def check(self) -> None:
        """Raise InvalidValueError for a number that cannot be."""
        if any(value is not None and not 0 <= value <= MAX_CREDITS for value in self[:2]):
            raise InvalidValueError(f"Credits and overage must be from 0 to {MAX_CREDITS:,}.")
        if any(value is not None and not 0 <= value <= MAX_LIMIT for value in self[2:]):
            raise InvalidValueError(f"Limits must be from 0 (none) to {MAX_LIMIT:,}.")


def open_account(
    *,
    team: Team,
    monthly_credits: int | None = None,
    overage_limit: int | None = None,
    plan: Plan | None = None,
    actor: str,
) -> CreditAccount:
    """Give a new team its account, filled with the first month's credits; its months begin at this moment.

    What is given beside a plan is the team's own and goes before the plan's. Without a plan the defaults are
    `DEFAULT_MONTHLY_CREDITS` and no overage. Raises InvalidValueError.
    """
    own = Terms(monthly_credits=monthly_credits, overage_limit=overage_limit)
    own.check()
    account = CreditAccount(team=team, anchored_at=Now(), period_started_at=Now())
    if plan is None:
        terms = settings.DEFAULT_MONTHLY_CREDITS, 0
    else:
        account.plan, terms = plan, (plan.monthly_credits, plan.overage_limit)
        _keep_own(account, own)
    account.monthly_credits = terms[0] if monthly_credits is None else monthly_credits
    account.overage_limit = terms[1] if overage_limit is None else overage_limit
    account.credit_balance = account.monthly_credits
    account.resets_at = Func(Now(), Now(), Value(1), function="credits_period_start", output_field=DateTimeField())
    with transaction.atomic():
        account.save(force_insert=True)
        account.refresh_from_db()
        _write(account, kind=LedgerEntry.Kind.GRANT, amount=account.credit_balance, actor=actor)
    return account


def current_account(*, team: Team) -> CreditAccount:
    """Return the team's account as it is in the present period: resets it first if nobody else has."""
    is_due = ExpressionWrapper(Q(resets_at__lte=Now()), output_field=BooleanField())
    account = CreditAccount.objects.annotate(is_due=is_due).get(team=team)
    if account.is_due:
        reset_if_due(team_id=team.id)
        account.refresh_from_db()
    return account


def grant_credits(*, team: Team, amount: int, actor: str) -> CreditAccount:
    """Add credits to a team's balance (a negative amount takes some back, not below the overage limit).

    They are this period's: the next reset leaves exactly the month's credits.
    """
    if abs(amount) > MAX_CREDITS:
        raise InvalidValueError(f"At most {MAX_CREDITS:,} credits at a time.")
    with transaction.atomic():
        reset_if_due(team_id=team.id)  # else a reset that is late would take the grant away again
        changed = CreditAccount.objects.filter(team=team, credit_balance__gte=-F("overage_limit") - amount).update(
            credit_balance=F("credit_balance") + amount
        )
        if not changed:
            raise InvalidValueError("The balance may not fall below the overage limit.")
        account = CreditAccount.objects.get(team=team)
        kind = LedgerEntry.Kind.GRANT if amount >= 0 else LedgerEntry.Kind.ADJUST
        _write(account, kind=kind, amount=amount, actor=actor)
    return account


def change_plan(*, team: Team, plan: Plan, own: Terms | None = None, actor: str) -> CreditAccount:
    """Put a team on a plan, with terms of its own where `own` has some; a repeat changes nothing.

    More monthly credits than the present period's are granted at once, as the difference; a higher overage limit
    applies at once, too. Less of either begins with the next reset. So changing to and fro grants nothing twice.
    """
    own = own or Terms()
    own.check()
    with transaction.atomic():
        reset_if_due(team_id=team.id)
        account = CreditAccount.objects.select_for_update().get(team=team)
        account.plan = plan
        _keep_own(account, own)
        raised = max(0, (account.term("monthly_credits") or 0) - account.monthly_credits)
        account.credit_balance += raised
        account.monthly_credits += raised
        account.overage_limit = max(account.overage_limit, account.term("overage_limit") or 0)
        account.save()
        if raised:
            _write(account, kind=LedgerEntry.Kind.GRANT, amount=raised, actor=actor)
        detail = {"plan": plan.slug, **{name: value for name, value in own._asdict().items() if value is not None}}
        record_audit(team=team, action="team.plan_changed", actor=actor, subject=team.id, detail=detail)
    return account


def save_plan(*, slug: str, name: str | None, terms: Terms, actor: str) -> Plan:
    """Create a plan, or change what is given of the one with this slug. Raises InvalidValueError.

    Its teams get other credits at their next reset, other limits within a minute.
    """
    terms.check()
    with transaction.atomic():
        plan = Plan.objects.select_for_update().filter(slug=slug).first() or Plan(slug=slug, name=slug)
        changes = {key: value for key, value in {"name": name, **terms._asdict()}.items() if value is not None}
        for key, value in changes.items():
            setattr(plan, key, value)
        try:
            plan.full_clean()
        except ValidationError as error:
            field, problems = next(iter(error.message_dict.items()))
            raise InvalidValueError(f"{field}: {problems[0]}") from error
        plan.save()
        record_audit(team=None, action="plan.saved", actor=actor, subject=slug, detail=changes)
    return plan


def find_plan(slug: str) -> Plan:
    """Return the plan with this slug; raises InvalidValueError."""
    plan = Plan.objects.filter(slug=slug).first()
    if plan is None:
        raise InvalidValueError(f"There is no such plan: {slug}")
    return plan


def _keep_own(account: CreditAccount, own: Terms) -> None:
    for name, value in own._asdict().items():
        setattr(account, f"own_{name}", value)


def _write(account: CreditAccount, *, kind: LedgerEntry.Kind, amount: int, actor: str) -> None:
    LedgerEntry.objects.create(
        team_id=account.team_id, kind=kind, amount=amount, balance_after=account.credit_balance, actor=actor
    )
