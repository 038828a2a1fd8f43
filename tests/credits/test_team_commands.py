"""`create_team` and `grant_credits`: stable names and words, scripts depend on them."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from accounts.models import AuditEntry, Project, Team
from automette.lib.ids import new_id
from credits.models import CreditAccount, LedgerEntry


@pytest.fixture
def run(capsys, database):
    def command(*words) -> str:
        call_command(*words)
        return capsys.readouterr().out

    return command


def test_create_team_prints_id_and_name(run):
    made = json.loads(run("create_team", "Zoë & Söhne", "--json"))
    team = Team.objects.get(pk=made["id"])
    assert made == {"id": team.id, "name": "Zoë & Söhne"}
    assert team.name == "Zoë & Söhne"


def test_team_has_a_default_project_an_account_and_an_audit_row(run):
    team = Team.objects.get(
        pk=json.loads(run("create_team", "A", "--credits", "5", "--overage", "2", "--json"))["id"]
    )
    assert [project.is_default for project in Project.objects.filter(team=team)] == [True]
    account = CreditAccount.objects.get(team=team)
    assert (account.credit_balance, account.overage_limit, account.monthly_credits) == (5, 2, 5)
    row = LedgerEntry.objects.get(team=team)
    assert (row.kind, row.amount, row.balance_after, row.actor) == ("grant", 5, 5, "command line")
    audit = AuditEntry.objects.get(team=team)
    assert (audit.action, audit.actor, audit.subject) == ("team.created", "command line", team.id)


def test_default_credits_are_those_of_the_settings(run, settings):
    made = json.loads(run("create_team", "A", "--json"))
    assert CreditAccount.objects.get(team_id=made["id"]).credit_balance == settings.DEFAULT_MONTHLY_CREDITS


def test_without_json_a_sentence_is_printed(run):
    name = new_id()
    said = run("create_team", name)
    assert said == f"Team {name} has the id {Team.objects.get(name=name).id}.\n"


@pytest.mark.parametrize(
    "words",
    [[""], ["  "], ["x" * 201], ["A", "--credits", "-1"], ["A", "--overage", "-1"], ["A", "--credits", str(10**30)]],
    ids=lambda words: " ".join(words)[:20],
)
def test_impossible_team_is_refused_with_a_sentence(run, words):
    before = Team.objects.count()
    with pytest.raises(CommandError, match=r"\.$"):
        run("create_team", *words)
    assert Team.objects.count() == before


def test_grant_credits_adds_and_writes_the_ledger(run, api):
    granted = json.loads(run("grant_credits", api.team.id, "50", "--json"))
    assert granted == {"team": api.team.id, "credit_balance": 150}
    row = LedgerEntry.objects.filter(team=api.team).latest("id")
    assert (row.kind, row.amount, row.balance_after, row.actor) == ("grant", 50, 150, "command line")


def test_negative_grant_takes_credits_back(run, api):
    assert run("grant_credits", api.team.id, "-30") == "A team now has 70 credits.\n"
    row = LedgerEntry.objects.filter(team=api.team).latest("id")
    assert (row.kind, row.amount, row.balance_after) == ("adjust", -30, 70)
    assert LedgerEntry.objects.filter(team=api.team).aggregate(total=Sum("amount"))["total"] == api.credits() == 70


@pytest.mark.parametrize("amount", ["-101", str(10**30), str(-(10**30))])
def test_impossible_grant_is_refused_and_changes_nothing(run, api, nothing_changes, amount):
    with nothing_changes(api), pytest.raises(CommandError):
        run("grant_credits", api.team.id, amount)


def test_team_can_be_named_when_only_one_has_the_name(run, new_api):
    name = new_id()
    api = new_api(name=name)
    run("grant_credits", name, "1")
    assert api.credits() == 101
    new_api(name=name)
    with pytest.raises(CommandError, match=f"More than one team has this name: use the id: {name}"):
        run("grant_credits", name, "1")
    with pytest.raises(CommandError, match="There is no such team: nobody"):
        run("grant_credits", "nobody", "1")
    assert api.credits() == 101
