"""The balance is the sum of the ledger, whatever happens in whatever order; and the ledger is only added to."""

import dataclasses

import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounts.models import AuditEntry
from accounts.services import create_team
from automette.lib.errors import InvalidValueError
from automette.lib.ids import new_id
from credits.ledger_check import find_mismatches
from credits.models import CreditAccount, LedgerEntry, Plan
from credits.resets import reset_if_due
from credits.services import Terms, change_plan, current_account, grant_credits, open_account, save_plan
from renders import statements
from renders.models import Render
from templates_app.services import create_template
from tests.credits.periods import move_back

TERMS = {"credits": st.integers(0, 4), "overage": st.integers(0, 2)}


@dataclasses.dataclass
class PlanModel:
    """A plan and the numbers that it should have."""

    row: Plan
    credits: int
    overage: int


class Ledger(RuleBasedStateMachine):
    """Grants, charges, failures, late workers, resets and plans in any order on PostgreSQL; the model is integers."""

    @initialize(**TERMS)
    def open(self, credits, overage):
        self.team = create_team(name="Model", actor="test")
        open_account(team=self.team, monthly_credits=credits, overage_limit=overage, actor="test")
        self.template = create_template(team=self.team, actor="test", name="T", engine="typst", source="Hi")
        self.balance, self.monthly, self.overage, self.open_renders, self.ended = credits, credits, overage, [], []
        self.resets, self.is_due, self.plans, self.plan, self.own = 0, False, [], None, Terms()

    @rule(**TERMS)
    def make_plan(self, credits, overage):
        row = save_plan(slug=new_id(), name=None, terms=Terms(credits, overage), actor="test")
        self.plans.append(PlanModel(row, credits, overage))

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), **TERMS)
    def edit_plan(self, data, credits, overage):
        plan = data.draw(st.sampled_from(self.plans))
        plan.credits, plan.overage = credits, overage
        save_plan(slug=plan.row.slug, name="Edited", terms=Terms(credits, overage), actor="test")

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), own=st.sampled_from([Terms(), Terms(3), Terms(overage_limit=1), Terms(0, 0)]))
    def change_plan(self, data, own):
        plan = data.draw(st.sampled_from(self.plans))
        self.expect_reset()
        self.plan, self.own = plan, own
        monthly, overage = self.terms()
        raised = max(0, monthly - self.monthly)
        self.balance, self.monthly = self.balance + raised, self.monthly + raised
        self.overage = max(self.overage, overage)
        plan_row = Plan.objects.get(pk=plan.row.pk)
        account = change_plan(team=self.team, plan=plan_row, own=own, actor="test")
        assert (account.credit_balance, account.overage_limit) == (self.balance, self.overage)

    def terms(self) -> tuple[int, int]:
        """What applies from the next reset on."""
        own, plan = self.own, self.plan
        monthly = own.monthly_credits if own.monthly_credits is not None else plan.credits if plan else self.monthly
        overage = own.overage_limit if own.overage_limit is not None else plan.overage if plan else self.overage
        return monthly, overage

    def expect_reset(self) -> None:
        if self.is_due:
            self.monthly, self.overage = self.terms()
            self.balance, self.resets, self.is_due = self.monthly, self.resets + 1, False

    @rule(days=st.sampled_from([31, 62, 400]))
    def let_time_pass(self, days):
        move_back(self.team, days)
        self.is_due = True

    @rule()
    def reset(self):
        assert reset_if_due(team_id=self.team.id) == self.is_due
        self.expect_reset()

    @rule()
    def read(self):
        self.expect_reset()
        assert current_account(team=self.team).credit_balance == self.balance

    @rule(amount=st.integers(-4, 4))
    def grant(self, amount):
        balance, overage = self.terms() if self.is_due else (self.balance, self.overage)
        if balance + amount >= -overage:
            self.expect_reset()
            assert grant_credits(team=self.team, amount=amount, actor="test").credit_balance == balance + amount
            self.balance += amount
        else:  # a reset that was due is refused with it, and stays due
            with pytest.raises(InvalidValueError):
                grant_credits(team=self.team, amount=amount, actor="test")

    @rule()
    def charge(self):
        render = Render(
            id=new_id(),
            team=self.team,
            job_id=new_id(),
            template=self.template,
            template_version_id=self.template.current_version_id,
            template_name="T",
            engine="typst",
            format="pdf",
            visibility="public",
            data="{}",
            filename="x.pdf",
            queue="nobody",
        )
        accepted = statements.accept(render, source="api", actor="test")
        assert accepted == (self.balance + self.overage >= 1)
        if accepted:
            self.balance -= 1
            self.open_renders.append((render.id, 0))

    @precondition(lambda self: self.open_renders)
    @rule(data=st.data())
    def fail(self, data):
        render_id, _ = self.open_renders.pop(data.draw(st.integers(0, len(self.open_renders) - 1)))
        taken = statements.claim(render_id, lease_seconds=60)
        assert statements.fail(render_id, attempt=taken.attempt, error="No.", code="template_error")
        self.ended.append(render_id)
        self.balance += 1

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def fail_again(self, data):
        render_id = data.draw(st.sampled_from(self.ended))
        assert not statements.fail(render_id, attempt=1, error="No.", code="template_error")

    @precondition(lambda self: self.open_renders)
    @rule()
    def complete(self):
        render_id, _ = self.open_renders.pop()
        taken = statements.claim(render_id, lease_seconds=60)
        file = statements.StoredFile("pdf", f"renders/{render_id}.pdf", "application/pdf", 1, "0" * 64)
        assert statements.complete(taken, files=[file], pages=1, report={})
        self.ended.append(render_id)

    @invariant()
    def balance_is_the_sum_of_the_ledger(self):
        if hasattr(self, "team"):
            rows = LedgerEntry.objects.filter(team=self.team)
            account = CreditAccount.objects.get(team=self.team)
            assert account.credit_balance == self.balance == rows.aggregate(total=Sum("amount"))["total"]
            assert rows.order_by("-id").first().balance_after == self.balance
            assert self.balance >= -self.overage
            assert rows.filter(kind="reset").count() == self.resets
            assert (account.monthly_credits, account.overage_limit) == (self.monthly, self.overage)
            assert find_mismatches(team_id=self.team.id) == []


@pytest.mark.usefixtures("database")
def test_balance_is_the_sum_of_the_ledger_in_every_order_of_events():
    Ledger.TestCase.settings = settings(
        max_examples=25,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
    )
    Ledger.TestCase().runTest()


@pytest.fixture
def refused(database):
    """Run a statement that the database must refuse, for this reason."""

    def run(statement: str, *values, match: str):
        with pytest.raises(Error, match=match), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


@pytest.mark.parametrize("table", ["credits_ledgerentry", "accounts_auditentry"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET actor = 'me' WHERE team_id = %s", "DELETE FROM {} WHERE team_id = %s"]
)
def test_rows_of_ledger_and_audit_are_never_changed(api, refused, table, change):
    refused(change.format(table), api.team.id, match=f"{table} is append-only")
    assert LedgerEntry.objects.get(team=api.team).actor == "test"
    assert set(AuditEntry.objects.filter(team=api.team).values_list("actor", flat=True)) == {"test"}


@pytest.mark.parametrize("table", ["credits_ledgerentry", "accounts_auditentry"])
def test_tables_of_ledger_and_audit_are_never_emptied(api, refused, table):
    refused(f"TRUNCATE {table}", match=f"{table} is append-only")
    assert LedgerEntry.objects.filter(team=api.team).count() == 1


def test_django_cannot_change_them_either(api):
    for row in (LedgerEntry.objects.get(team=api.team), AuditEntry.objects.filter(team=api.team).first()):
        row.actor = "me"
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            row.save()
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            row.delete()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("credit_balance = -1", "credits_not_below_overage"),
        ("overage_limit = -1", "credits_limits_not_negative"),
        ("monthly_credits = -1", "credits_limits_not_negative"),
    ],
)
def test_database_keeps_accounts_within_their_limits(new_api, refused, change, constraint):
    api = new_api(credits=0)
    refused(f"UPDATE credits_creditaccount SET {change} WHERE team_id = %s", api.team.id, match=constraint)
    assert api.credits() == 0


def entry(api, **more) -> LedgerEntry:
    return LedgerEntry(
        team=api.team, **{"kind": "adjust", "amount": 0, "balance_after": 100, "actor": "test", **more}
    )


@pytest.mark.parametrize(
    ("more", "constraint"),
    [
        ({"kind": "gift"}, "ledger_kind_known"),
        ({"kind": "charge"}, "ledger_charge_names_render"),
        ({"kind": "refund"}, "ledger_charge_names_render"),
    ],
)
def test_database_refuses_a_row_that_makes_no_sense(api, nothing_changes, more, constraint):
    with nothing_changes(api), pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        entry(api, **more).save()


@pytest.mark.parametrize("kind", ["charge", "refund"])
def test_database_takes_one_charge_and_one_refund_of_a_render(api, kind):
    render_id = new_id()
    entry(api, kind=kind, render_id=render_id).save()
    with pytest.raises(IntegrityError, match="ledger_once_per_render_and_kind"), transaction.atomic():
        entry(api, kind=kind, render_id=render_id).save()
