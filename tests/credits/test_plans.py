"""Plans: what their teams share, what a team has of its own, and what a change does to the month."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from accounts.models import AuditEntry, Team
from automette.lib.errors import InvalidValueError
from automette.lib.ids import new_id
from credits.models import CreditAccount, LedgerEntry, Plan
from credits.resets import reset_if_due
from credits.services import Terms, change_plan, grant_credits, open_account, save_plan
from tests.credits.periods import move_back


def make(credits=100, overage=0, *limits) -> Plan:
    return save_plan(slug=new_id(), name="A plan", terms=Terms(credits, overage, *limits), actor="test")


def terms(api) -> tuple[int, int, int]:
    account = CreditAccount.objects.get(team=api.team)
    return account.credit_balance, account.monthly_credits, account.overage_limit


def rows(api) -> list[tuple[str, int, int]]:
    return list(
        LedgerEntry.objects.filter(team=api.team).order_by("id").values_list("kind", "amount", "balance_after")
    )


def next_month(api) -> None:
    move_back(api.team, 31)
    assert reset_if_due(team_id=api.team.id)


def test_raise_is_granted_at_once_as_the_difference(new_api):
    api = new_api(credits=100)
    grant_credits(team=api.team, amount=-30, actor="test")
    change_plan(team=api.team, plan=make(250, 20), actor="sales")
    assert terms(api) == (220, 250, 20)
    assert rows(api)[-1] == ("grant", 150, 220)
    assert LedgerEntry.objects.filter(team=api.team).latest("id").actor == "sales"
    next_month(api)
    assert terms(api) == (250, 250, 20)


def test_less_begins_with_the_next_reset(new_api, nothing_changes):
    api = new_api(credits=100, overage=20)
    with nothing_changes(api):
        change_plan(team=api.team, plan=make(40, 5), actor="test")
    assert terms(api) == (100, 100, 20)
    next_month(api)
    assert terms(api) == (40, 40, 5)
    assert rows(api)[-1] == ("reset", -60, 40)


def test_changing_to_and_fro_grants_nothing_twice(new_api):
    api = new_api(credits=100)
    large, small = make(300), make(10)
    for plan in (large, small, large, small, large):
        change_plan(team=api.team, plan=plan, actor="test")
    assert terms(api)[:2] == (300, 300)
    assert rows(api) == [("grant", 100, 100), ("grant", 200, 300)]


def test_own_terms_go_before_the_plans_until_the_next_change(new_api):
    api, plan = new_api(credits=100), make(200, 10, 60, 4)
    account = change_plan(team=api.team, plan=plan, own=Terms(500, None, None, 9, 0), actor="test")
    assert terms(api) == (500, 500, 10)
    assert [account.term(name) for name in Terms._fields] == [500, 10, 60, 9, 0]
    next_month(api)
    assert terms(api) == (500, 500, 10)
    account = change_plan(team=api.team, plan=plan, actor="test")
    assert [account.term(name) for name in Terms._fields] == [200, 10, 60, 4, None]
    next_month(api)
    assert terms(api) == (200, 200, 10)


def test_team_without_a_plan_has_the_servers_limits(api):
    account = CreditAccount.objects.get(team=api.team)
    assert [account.term(name) for name in Terms._fields] == [None] * 5


def test_edited_plan_reaches_its_teams_at_their_next_reset(new_api, nothing_changes):
    api, plan = new_api(credits=0), make(100, 1)
    change_plan(team=api.team, plan=plan, actor="test")
    with nothing_changes(api):
        save_plan(slug=plan.slug, name=None, terms=Terms(70, 2, running_renders=3), actor="test")
    assert terms(api) == (100, 100, 1)
    assert CreditAccount.objects.get(team=api.team).term("running_renders") == 3
    next_month(api)
    assert terms(api) == (70, 70, 2)


def test_change_of_plan_is_in_the_audit(api):
    plan = make()
    change_plan(team=api.team, plan=plan, own=Terms(5), actor="sales")
    audit = AuditEntry.objects.filter(team=api.team, action="team.plan_changed").get()
    assert (audit.actor, audit.detail) == ("sales", {"plan": plan.slug, "monthly_credits": 5})


def test_account_opens_with_its_plans_credits_or_its_own(database):
    plan = make(70, 7)
    opened = [
        open_account(team=Team.objects.create(name="A"), plan=plan, actor="test", **own)
        for own in ({}, {"monthly_credits": 9}, {"overage_limit": 0})
    ]
    assert [(each.credit_balance, each.monthly_credits, each.overage_limit) for each in opened] == [
        (70, 70, 7),
        (9, 9, 7),
        (70, 70, 0),
    ]
    assert [each.own_monthly_credits for each in opened] == [None, 9, None]


@pytest.mark.parametrize(
    "own", [Terms(-1), Terms(None, -1), Terms(10**13), Terms(None, None, -1), Terms(sync_waiters=10**10)]
)
def test_impossible_terms_are_refused(api, nothing_changes, own):
    plan = make()
    with nothing_changes(api), pytest.raises(InvalidValueError, match=r"must be from 0"):
        change_plan(team=api.team, plan=plan, own=own, actor="test")
    with pytest.raises(InvalidValueError, match=r"must be from 0"):
        save_plan(slug=plan.slug, name=None, terms=own, actor="test")
    assert CreditAccount.objects.get(team=api.team).plan is None


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"monthly_credits": -1}, "plan_credits_not_negative"),
        ({"overage_limit": -1}, "plan_credits_not_negative"),
        ({"running_renders": -1}, "plan_limits_not_negative"),
    ],
)
def test_database_keeps_plans_possible(database, changes, constraint):
    plan = make()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Plan.objects.filter(pk=plan.pk).update(**changes)


def test_plan_with_teams_cannot_be_deleted(api):
    plan = make()
    change_plan(team=api.team, plan=plan, actor="test")
    with pytest.raises(ProtectedError):
        plan.delete()


# --- commands


@pytest.fixture
def run(capsys, database):
    def command(*words) -> str:
        call_command(*words)
        return capsys.readouterr().out

    return command


def test_save_plan_creates_and_then_changes_what_is_given(run):
    slug = f"pro-{new_id()}"
    said = run("save_plan", slug, "--name", "Pro", "--credits", "5000", "--requests-per-minute", "0")
    assert said == f"Plan {slug} has 5000 credits a month and 0 of overage.\n"
    assert json.loads(run("save_plan", slug, "--overage", "10", "--sync-waiters", "3", "--json")) == {
        "slug": slug,
        "name": "Pro",
        "monthly_credits": 5000,
        "overage_limit": 10,
        "requests_per_minute": 0,
        "running_renders": None,
        "sync_waiters": 3,
    }


@pytest.mark.parametrize(
    "words",
    [
        ["x"],
        ["a b", "--credits", "1"],
        ["", "--credits", "1"],
        ["y", "--credits", "-1"],
        ["z", "--credits", "1", "--name", "n" * 201],
    ],
    ids=["no credits", "blank in slug", "no slug", "negative", "long name"],
)
def test_impossible_plan_is_refused_with_a_sentence(run, words):
    before = Plan.objects.count()
    with pytest.raises(CommandError, match=r"\.$"):
        run("save_plan", *words)
    assert Plan.objects.count() == before


def test_set_plan_says_what_the_team_has_now(run, new_api):
    api, plan = new_api(credits=10), make(50)
    assert run("set_plan", api.team.id, plan.slug) == f"A team is on {plan.slug} and has 50 credits.\n"
    own = json.loads(run("set_plan", api.team.id, plan.slug, "--credits", "60", "--json"))
    assert own == {"team": api.team.id, "plan": plan.slug, "credit_balance": 60}


def test_create_team_takes_a_plan(run):
    plan = make(50, 5)
    made = json.loads(run("create_team", "A", "--plan", plan.slug, "--json"))
    account = CreditAccount.objects.get(team_id=made["id"])
    assert (account.plan, account.credit_balance, account.overage_limit) == (plan, 50, 5)
    made = json.loads(run("create_team", "A", "--plan", plan.slug, "--credits", "7", "--json"))
    assert CreditAccount.objects.get(team_id=made["id"]).term("monthly_credits") == 7


def test_unknown_plan_is_refused_and_nothing_is_made(run, api):
    before = Team.objects.count()
    for words in (["create_team", "A", "--plan", "nothing"], ["set_plan", api.team.id, "nothing"]):
        with pytest.raises(CommandError, match="There is no such plan: nothing"):
            run(*words)
    assert Team.objects.count() == before


# --- check_ledger


def test_check_ledger_finds_nothing_wrong_with_a_team(run, api):
    assert run("check_ledger", api.team.id) == "Every balance is the sum of its ledger.\n"
    assert json.loads(run("check_ledger", api.team.id, "--json")) == {"mismatches": []}


def test_check_ledger_names_a_team_whose_balance_was_changed_by_hand(capsys, api):
    CreditAccount.objects.filter(team=api.team).update(credit_balance=99)
    for words in ([api.team.id], []):
        with pytest.raises(CommandError, match="do not agree"):
            call_command("check_ledger", *words)
        assert f"Team {api.team.id} has a balance of 99, its ledger sums to 100.\n" in capsys.readouterr().out


def test_check_ledger_names_a_team_whose_entries_do_not_follow_each_other(capsys, api):
    for amount, after in ((-5, 90), (5, 100)):
        LedgerEntry.objects.create(team=api.team, kind="adjust", amount=amount, balance_after=after, actor="test")
    first = LedgerEntry.objects.filter(team=api.team, kind="adjust").earliest("id")
    with pytest.raises(CommandError):
        call_command("check_ledger", api.team.id, "--json")
    assert json.loads(capsys.readouterr().out) == {
        "mismatches": [{"team": api.team.id, "credit_balance": 100, "ledger_total": 100, "gap": first.id}]
    }


def test_check_ledger_names_a_team_without_an_account(capsys, api):
    CreditAccount.objects.filter(team=api.team).delete()
    with pytest.raises(CommandError):
        call_command("check_ledger", api.team.id)
    assert capsys.readouterr().out == f"Team {api.team.id} has no account, its ledger sums to 100.\n"
