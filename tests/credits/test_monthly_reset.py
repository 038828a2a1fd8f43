"""The monthly reset: exactly once, whoever comes to it first, also after an outage of months."""

import datetime as dt
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from credits.ledger_check import find_mismatches
from credits.models import CreditAccount, LedgerEntry
from credits.resets import reset_due_accounts, reset_if_due
from credits.services import Terms, change_plan, grant_credits, save_plan
from credits.tasks import reset_due
from renders import statements
from tests.conftest import wait_until
from tests.credits.periods import move_back

THREADS = 50


def rows(api, *kinds) -> list[tuple[str, int, int]]:
    entries = LedgerEntry.objects.filter(team=api.team, kind__in=kinds or ["reset"]).order_by("id")
    return list(entries.values_list("kind", "amount", "balance_after"))


def account(api) -> CreditAccount:
    return CreditAccount.objects.get(team=api.team)


def at_once(*works) -> list:
    """Run the works in threads that begin together; return their results in order."""
    start = threading.Barrier(len(works))

    def run(work):
        start.wait(100)
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def test_nothing_happens_before_the_period_has_ended(api, nothing_changes):
    with nothing_changes(api):
        assert not reset_if_due(team_id=api.team.id)
        reset_due()
    assert rows(api) == []


@pytest.mark.parametrize(("left", "amount"), [(100, 0), (30, 70), (0, 100), (-5, 105), (250, -150)])
def test_reset_leaves_exactly_the_months_credits(new_api, left, amount):
    """What is left does not carry over, nor does overage, nor what was granted besides."""
    api = new_api(credits=100, overage=5)
    grant_credits(team=api.team, amount=left - 100, actor="test")
    before = account(api)
    move_back(api.team, 35)
    reset_due()
    after = account(api)
    assert rows(api) == [("reset", amount, 100)]
    assert LedgerEntry.objects.get(team=api.team, kind="reset").actor == "monthly reset"
    assert (after.credit_balance, after.monthly_credits, after.overage_limit) == (100, 100, 5)
    assert after.period_started_at == account(api).period_started_at > before.period_started_at - dt.timedelta(35)
    assert after.period_started_at <= timezone.now() < after.resets_at


def test_outage_of_many_months_is_one_reset_into_the_present_period(api):
    move_back(api.team, 400)
    assert reset_due_accounts() >= 1
    assert rows(api) == [("reset", 0, 100)]
    present = account(api)
    assert present.period_started_at <= timezone.now() < present.resets_at
    assert present.resets_at - present.period_started_at <= dt.timedelta(days=31)
    reset_due()
    assert rows(api) == [("reset", 0, 100)]


def test_each_period_has_its_reset(api):
    for months in (1, 2, 3):
        move_back(api.team, 31)
        reset_due()
        assert len(rows(api)) == months


def test_reset_keeps_the_anchor(api):
    move_back(api.team, 95)
    anchor = account(api).anchored_at
    reset_due()
    assert account(api).anchored_at == anchor
    assert (account(api).resets_at - anchor) > dt.timedelta(days=95)


@pytest.mark.timeout(240)
def test_fifty_threads_and_beat_make_one_reset(api):
    move_back(api.team, 40)
    results = at_once(*[lambda: reset_if_due(team_id=api.team.id)] * THREADS, reset_due, reset_due)
    assert Counter(results[:THREADS])[True] <= 1
    assert rows(api) == [("reset", 0, 100)]
    assert find_mismatches(team_id=api.team.id) == []


def test_resets_that_waited_for_the_same_lock_are_one(api):
    """All of them have seen that the period is over before the first one ends it."""
    move_back(api.team, 40)
    with ThreadPoolExecutor(8) as threads:
        with transaction.atomic():
            CreditAccount.objects.select_for_update().get(team=api.team)
            waiting = [threads.submit(reset_and_leave, api) for _ in range(8)]
            wait_until(lambda: waiters() == 8, 100)
        assert sorted(each.result(100) for each in waiting) == [False] * 7 + [True]
    assert rows(api) == [("reset", 0, 100)]


def reset_and_leave(api) -> bool:
    try:
        return reset_if_due(team_id=api.team.id)
    finally:
        connection.close()


def waiters() -> int:
    """Return how many connections wait for a lock on an account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT held.pid) FROM pg_locks AS held JOIN pg_locks AS waiting USING (pid)"
            " WHERE held.relation = 'credits_creditaccount'::regclass AND NOT waiting.granted"
        )
        return cursor.fetchone()[0]


@pytest.mark.timeout(240)
def test_fifty_readers_over_http_make_one_reset_and_all_see_it(api):
    grant_credits(team=api.team, amount=-60, actor="test")
    move_back(api.team, 40)
    answers = at_once(*[lambda: api.get("/api/v1/credits").json()] * THREADS)
    assert {body["credit_balance"] for body in answers} == {100}
    assert len({(body["period_started_at"], body["resets_at"]) for body in answers}) == 1
    assert rows(api) == [("reset", 60, 100)]


@pytest.mark.timeout(240)
def test_without_the_lock_the_same_threads_reset_several_times(api):
    """The control: reading first and writing then lets several threads see the same end of the period."""
    move_back(api.team, 40)
    together = threading.Barrier(8)

    def reset_naively():
        seen = account(api)
        connection.close()
        together.wait(100)
        if seen.resets_at > timezone.now():
            return
        with transaction.atomic():
            CreditAccount.objects.filter(team=api.team).update(
                credit_balance=F("monthly_credits"), resets_at=timezone.now() + dt.timedelta(days=30)
            )
            LedgerEntry.objects.create(team=api.team, kind="reset", amount=0, balance_after=100, actor="test")

    at_once(*[reset_naively] * 8)
    assert len(rows(api)) == 8


@pytest.mark.timeout(240)
def test_charges_and_refunds_during_the_reset_are_all_in_the_ledger(api, accept):
    template_id = api.template()
    open_renders = [accept(api, template_id) for _ in range(10)]
    for render in open_renders:
        statements.claim(render.id, lease_seconds=60)
    move_back(api.team, 40)

    def fail(render):
        return lambda: statements.fail(render.id, attempt=1, error="No.", code="template_error")

    def charge():
        return api.post("/api/v1/renders", {"template_id": template_id}).status_code

    at_once(*map(fail, open_renders), *[charge] * 10, *[reset_due] * 4)
    assert len(rows(api)) == 1
    assert (len(rows(api, "charge")), len(rows(api, "refund"))) == (20, 10)
    assert find_mismatches(team_id=api.team.id) == []


def test_reset_that_waited_for_a_change_of_plan_takes_the_new_plans_credits(new_api):
    api = new_api(credits=100, overage=9)
    small = save_plan(slug=f"small-{api.team.id}", name=None, terms=Terms(10, 3), actor="test")
    move_back(api.team, 40)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            CreditAccount.objects.select_for_update().get(team=api.team)
            waiting = threads.submit(reset_and_leave, api)
            wait_until(lambda: waiters() == 1, 100)
            CreditAccount.objects.filter(team=api.team).update(plan=small)
        assert waiting.result(100)
    assert (account(api).monthly_credits, account(api).credit_balance, account(api).overage_limit) == (10, 10, 3)


@pytest.mark.parametrize("how", [{}, {"async": False}], ids=["async", "sync"])
def test_team_whose_reset_is_due_is_not_refused_while_beat_is_down(new_api, settings, how):
    settings.SYNC_WAIT_SECONDS = 0.1  # nobody renders here
    api = new_api(credits=2)
    template_id = api.template()
    for _ in range(2):
        assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 202
    assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 402
    move_back(api.team, 40)
    assert api.post("/api/v1/renders", {"template_id": template_id, **how}).status_code in {200, 202}
    assert rows(api, "reset", "charge") == [("charge", -1, 1), ("charge", -1, 0), ("reset", 2, 2), ("charge", -1, 1)]


@pytest.mark.timeout(240)
def test_fifty_renders_at_the_reset_are_one_reset_and_as_many_charges_as_credits(new_api):
    api = new_api(credits=40)
    template_id = api.template()
    grant_credits(team=api.team, amount=-40, actor="test")
    move_back(api.team, 40)

    def render():
        return api.post("/api/v1/renders", {"template_id": template_id}).status_code

    answers = Counter(at_once(*[render] * THREADS, reset_due)[:THREADS])
    assert answers == {202: 40, 402: 10}
    assert (len(rows(api)), len(rows(api, "charge")), api.credits()) == (1, 40, 0)
    assert find_mismatches(team_id=api.team.id) == []


def test_refusal_after_a_reset_to_nothing_shows_the_present_balance(new_api, nothing_changes):
    api = new_api(credits=0, overage=1)
    template_id = api.template()
    api.post("/api/v1/renders", {"template_id": template_id})
    refused = api.post("/api/v1/renders", {"template_id": template_id}).json()
    assert (refused["available_credits"], refused["credit_balance"]) == (0, -1)
    move_back(api.team, 40)
    assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 202
    with nothing_changes(api):
        assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 402


def test_grant_to_a_team_whose_reset_is_late_stays(api):
    move_back(api.team, 40)
    assert grant_credits(team=api.team, amount=7, actor="test").credit_balance == 107
    reset_due()
    assert rows(api, "reset", "grant") == [("grant", 100, 100), ("reset", 0, 100), ("grant", 7, 107)]
    assert api.credits() == 107


def test_change_of_plan_of_a_team_whose_reset_is_late_counts_from_the_new_period(new_api):
    api = new_api(credits=100)
    grant_credits(team=api.team, amount=-100, actor="test")
    plan = save_plan(slug=f"more-{api.team.id}", name=None, terms=Terms(150), actor="test")
    move_back(api.team, 40)
    assert change_plan(team=api.team, plan=plan, actor="test").credit_balance == 150
    assert rows(api, "reset", "grant")[1:] == [("reset", 100, 100), ("grant", 50, 150)]


def test_worker_resets_when_beat_rings(server, api, settings):
    assert settings.CELERY_BEAT_SCHEDULE["reset-credits"]["task"] == reset_due.name
    move_back(api.team, 40)
    reset_due.delay()
    wait_until(lambda: rows(api) == [("reset", 0, 100)], 100)
