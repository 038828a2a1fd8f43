from typing import Final, Literal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Team
from automette.lib.pagination import NEWEST_FIRST

MAX_CREDITS: Final = 10**12
MAX_LIMIT: Final = 10**9

_CREDITS: Final = [MinValueValidator(0), MaxValueValidator(MAX_CREDITS)]
_LIMIT: Final = [MinValueValidator(0), MaxValueValidator(MAX_LIMIT)]

Term = Literal["monthly_credits", "overage_limit", "requests_per_minute", "running_renders", "sync_waiters"]


class Plan(models.Model):
    """What several teams have in common. In a limit, 0 is no limit and NULL the server's setting (`credits.limits`).

    A team's credits follow a change of its plan's at its next reset; the other limits apply within a minute.
    """

    slug = models.SlugField(max_length=50, unique=True, help_text="How commands name it.")
    name = models.CharField(max_length=200)
    monthly_credits = models.BigIntegerField(validators=_CREDITS)
    overage_limit = models.BigIntegerField(default=0, validators=_CREDITS)
    requests_per_minute = models.IntegerField(null=True, blank=True, validators=_LIMIT)
    running_renders = models.IntegerField(null=True, blank=True, validators=_LIMIT)
    sync_waiters = models.IntegerField(null=True, blank=True, validators=_LIMIT)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_credits__gte=0, overage_limit__gte=0), name="plan_credits_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(requests_per_minute__gte=0, running_renders__gte=0, sync_waiters__gte=0),
                name="plan_limits_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CreditAccount(models.Model):
    """What a team may still spend. `credit_balance` always equals the sum of the team's ledger rows.

    The balance changes only by one conditional UPDATE together with its ledger row (`credits.services`,
    `credits.resets`, `renders.statements`); it may go below zero down to `-overage_limit`.

    `monthly_credits` and `overage_limit` are those of the present period. At each reset they become the team's own
    (`own_...`), else its plan's, else they stay. Periods begin at `anchored_at` plus whole months, in UTC, on the
    last day of a month that is too short; `period_started_at` and `resets_at` are the present one's ends.
    """

    team = models.OneToOneField(Team, primary_key=True, on_delete=models.CASCADE, related_name="credit_account")
    plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts")
    credit_balance = models.BigIntegerField(default=0)
    overage_limit = models.BigIntegerField(default=0)
    monthly_credits = models.BigIntegerField(default=0)
    own_monthly_credits = models.BigIntegerField(null=True, blank=True)
    own_overage_limit = models.BigIntegerField(null=True, blank=True)
    own_requests_per_minute = models.IntegerField(null=True, blank=True)
    own_running_renders = models.IntegerField(null=True, blank=True)
    own_sync_waiters = models.IntegerField(null=True, blank=True)
    anchored_at = models.DateTimeField(db_default=Now())
    period_started_at = models.DateTimeField(db_default=Now())
    resets_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["resets_at"], name="credits_by_reset")]
        constraints = [
            models.CheckConstraint(
                condition=Q(credit_balance__gte=-F("overage_limit")), name="credits_not_below_overage"
            ),
            models.CheckConstraint(
                condition=Q(overage_limit__gte=0, monthly_credits__gte=0), name="credits_limits_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(own_monthly_credits__gte=0, own_overage_limit__gte=0),
                name="credits_own_terms_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(own_requests_per_minute__gte=0, own_running_renders__gte=0, own_sync_waiters__gte=0),
                name="credits_own_limits_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credit_balance} credits of {self.team_id}"

    @property
    def available_credits(self) -> int:
        return self.credit_balance + self.overage_limit

    def term(self, name: Term) -> int | None:
        """Return the team's own value, else its plan's; None stands for the server's setting."""
        own: int | None = getattr(self, f"own_{name}")
        if own is None and self.plan is not None:
            own = getattr(self.plan, name)
        return own


class LedgerEntry(models.Model):
    """One movement of credits. Rows are only ever added: the database refuses updates and deletions.

    A render has at most one `charge` and at most one `refund`, whatever the code does. A team's ids rise with its
    movements, because each is made while the account's row is locked: the order of ids is the order of balances.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        CHARGE = "charge"
        REFUND = "refund"
        RESET = "reset"
        ADJUST = "adjust"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="ledger_entries", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.BigIntegerField(help_text="Negative for a charge.")
    balance_after = models.BigIntegerField()
    render_id = models.CharField(max_length=25, null=True, blank=True, db_collation="C")  # noqa: DJ001 (NULLs do not collide)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(F("team"), NEWEST_FIRST, name="ledger_by_team"),
            models.Index(F("team"), F("kind"), NEWEST_FIRST, name="ledger_by_team_and_kind"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["render_id", "kind"], name="ledger_once_per_render_and_kind"),
            models.CheckConstraint(
                condition=Q(kind__in=["grant", "charge", "refund", "reset", "adjust"]),
                name="ledger_kind_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["charge", "refund"]) | Q(render_id__isnull=False),
                name="ledger_charge_names_render",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
