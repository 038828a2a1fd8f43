from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Team


class CreditAccount(models.Model):
    """What a team may still spend. `credit_balance` always equals the sum of the team's ledger rows.

    The balance changes only by one conditional UPDATE together with its ledger row (`credits.services`,
    `renders.statements`); it may go below zero down to `-overage_limit`.
    """

    team = models.OneToOneField(Team, primary_key=True, on_delete=models.CASCADE, related_name="credit_account")
    credit_balance = models.BigIntegerField(default=0)
    overage_limit = models.BigIntegerField(default=0)
    monthly_credits = models.BigIntegerField(default=0)
    period_started_at = models.DateTimeField(db_default=Now())
    resets_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(credit_balance__gte=-F("overage_limit")), name="credits_not_below_overage"
            ),
            models.CheckConstraint(
                condition=Q(overage_limit__gte=0, monthly_credits__gte=0), name="credits_limits_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credit_balance} credits of {self.team_id}"

    @property
    def available_credits(self) -> int:
        return self.credit_balance + self.overage_limit


class LedgerEntry(models.Model):
    """One movement of credits. Rows are only ever added: the database refuses updates and deletions.

    A render has at most one `charge` and at most one `refund`, whatever the code does.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"
        CHARGE = "charge"
        REFUND = "refund"
        RESET = "reset"
        ADJUST = "adjust"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="ledger_entries")
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.BigIntegerField(help_text="Negative for a charge.")
    balance_after = models.BigIntegerField()
    render_id = models.CharField(max_length=25, null=True, blank=True, db_collation="C")  # noqa: DJ001 (NULLs do not collide)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [models.Index(fields=["team", "-id"], name="ledger_by_team")]
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
