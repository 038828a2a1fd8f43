"""32 threads spend at once: the conditional UPDATE is what keeps a balance above its limit."""

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.db.models import F, Sum

from credits.ledger_check import find_mismatches
from credits.models import CreditAccount, LedgerEntry
from credits.services import grant_credits

THREADS = 32


def in_threads(work, count: int) -> Counter:
    """Run the work `count` times on THREADS threads that start together; return how often each result came."""
    start = threading.Barrier(THREADS)
    once = threading.local()

    def run(_):
        if not hasattr(once, "begun"):
            once.begun = True
            start.wait(100)
        try:
            return work()
        finally:
            connection.close()  # back to the pool, for the next thread

    with ThreadPoolExecutor(THREADS) as threads:
        return Counter(threads.map(run, range(count)))


def ledger(api) -> tuple[int, int]:
    rows = LedgerEntry.objects.filter(team=api.team)
    return rows.filter(kind="charge").count(), rows.aggregate(total=Sum("amount"))["total"]


def unhurried(api):
    """The same team without a limit of requests per minute: this is about credits."""
    CreditAccount.objects.filter(team=api.team).update(own_requests_per_minute=0)
    return api


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("requests_of_each", "may_spend", "overage"), [(100, 1000, 0), (5, 100, 10)], ids=["100 each", "into overage"]
)
def test_of_the_requests_of_32_threads_as_many_are_accepted_as_there_are_credits(
    new_api, requests_of_each, may_spend, overage
):
    api = unhurried(new_api(credits=may_spend - overage, overage=overage))
    template_id = api.template()
    requests = THREADS * requests_of_each
    answers = in_threads(lambda: api.post("/api/v1/renders", {"template_id": template_id}).status_code, requests)
    assert answers == {202: may_spend, 402: requests - may_spend}
    assert (api.team.renders.count(), api.team.jobs.count()) == (may_spend, may_spend)
    assert (ledger(api), api.credits()) == ((may_spend, -overage), -overage)
    assert find_mismatches(team_id=api.team.id) == []


def test_balances_in_the_ledger_count_down_without_gap(new_api):
    api = new_api(credits=40)
    template_id = api.template()
    in_threads(lambda: api.post("/api/v1/renders", {"template_id": template_id}).status_code, 64)
    rows = LedgerEntry.objects.filter(team=api.team, kind="charge")
    assert sorted(rows.values_list("balance_after", flat=True)) == list(range(40))


def test_without_the_condition_the_same_threads_overspend(new_api):
    """The control: reading first and writing then lets several threads see the same last credit."""
    api = new_api(credits=10, overage=1000)
    together = threading.Barrier(THREADS)

    def spend_naively() -> bool:
        account = CreditAccount.objects.get(team=api.team)
        connection.close()  # a waiting thread would keep the others from one
        together.wait(100)
        if account.credit_balance < 1:
            return False
        CreditAccount.objects.filter(team=api.team).update(credit_balance=F("credit_balance") - 1)
        return True

    assert in_threads(spend_naively, THREADS) == {True: THREADS}
    assert api.credits() == 10 - THREADS


def test_grants_and_charges_at_once_lose_nothing(new_api):
    api = new_api(credits=0)
    template_id = api.template()
    turns = itertools.cycle([True, False])

    def grant_or_spend():
        if next(turns):
            return grant_credits(team=api.team, amount=1, actor="test").team_id == api.team.id
        return api.post("/api/v1/renders", {"template_id": template_id}).status_code

    results = in_threads(grant_or_spend, 96)
    assert results[True] == 48
    assert api.credits() == 48 - results[202]
    assert ledger(api) == (results[202], api.credits())
