"""Ten failed attempts in a row, and a subscription disables itself: once, with an entry in the audit log."""

import datetime as dt

import pytest
from django.db.models.functions import Now

from accounts.models import AuditEntry
from tests.lib.outbound_servers import Server, answer
from tests.webhooks.receivers import (
    a_team,
    answering,
    change,
    deliver_to,
    end_lease,
    failing_until_due_again,
    in_threads,
    reload,
    subscribe,
    work_off,
)
from webhooks import statements
from webhooks.statements import Result

BAD = Result(
    http_status=500, milliseconds=3, answer="no", error="The receiver answered 500.", error_code="http_error"
)
OK = Result(http_status=200, milliseconds=3)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def team(database, settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    return a_team()


def disabled(team) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(team=team, action="webhook.disabled"))


def state(subscription):
    subscription.refresh_from_db()
    return subscription.enabled, subscription.failure_count, subscription.disabled_reason


def test_the_tenth_failure_in_a_row_disables(team):
    subscription = subscribe(team, answering("500 Oops").url)
    deliveries = [deliver_to(subscription, next_attempt_at=Now() + HOUR) for _ in range(4)]
    updated_at = subscription.updated_at
    for delivery, times in zip(deliveries, (3, 3, 3, 0), strict=True):
        failing_until_due_again(delivery, times)
    assert (state(subscription), disabled(team)) == ((True, 9, ""), [])
    failing_until_due_again(deliveries[3], 1)
    assert state(subscription) == (False, 10, "10 failed attempts in a row.")
    assert subscription.updated_at > updated_at
    [entry] = disabled(team)
    assert (entry.actor, entry.subject) == ("automette", subscription.id)
    assert entry.detail == {"reason": "10 failed attempts in a row."}
    failing_until_due_again(deliveries[0], 1)
    assert (reload(deliveries[0]).status, state(subscription)[1]) == ("suspended", 10)


def test_one_success_in_between_begins_anew(team):
    receiver = Server(lambda peer, _: peer.sendall(answers.pop(0)))
    bad, good = answer(b"", "500 Oops"), answer()
    answers = [*[bad] * 9, good, *[bad] * 9, good, *[bad] * 10]
    subscription = subscribe(team, receiver.url)
    for _ in range(20):
        work_off(deliver_to(subscription))
    assert (state(subscription), disabled(team)) == ((True, 0, ""), [])
    for count in range(1, 10):
        work_off(deliver_to(subscription))
        assert state(subscription) == (True, count, "")
    work_off(deliver_to(subscription))
    assert state(subscription) == (False, 10, "10 failed attempts in a row.")
    assert (answers, len(disabled(team))) == ([], 1)


def test_fifty_failures_at_once_disable_once(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = settings.WEBHOOK_CALLS_PER_TEAM = 50
    subscription = subscribe(team)
    taken = [statements.claim(deliver_to(subscription).id) for _ in range(50)]
    in_threads(50, lambda number: statements.record(taken[number], BAD))
    assert state(subscription) == (False, 50, "10 failed attempts in a row.")
    assert len(disabled(team)) == 1


def test_failures_of_a_disabled_one_do_not_disable_it_again(team):
    subscription = subscribe(team)
    taken = statements.claim(deliver_to(subscription).id)
    change(subscription, enabled=False, failure_count=30, disabled_reason="The team disabled it.")
    statements.record(taken, BAD)
    assert (state(subscription), disabled(team)) == ((False, 31, "The team disabled it."), [])


def test_enabled_again_it_has_ten_failures_before_it(team):
    subscription = subscribe(team, failure_count=0, disabled_reason="")
    for again in range(2):
        for _ in range(10):
            statements.record(statements.claim(deliver_to(subscription).id), BAD)
        assert (state(subscription)[0], len(disabled(team))) == (False, again + 1)
        change(subscription, enabled=True, failure_count=0, disabled_reason="")


def test_interrupted_attempts_are_no_failures(team):
    delivery = deliver_to(subscribe(team))
    for _ in range(12):
        assert statements.claim(delivery.id)
        end_lease(delivery)
    taken = statements.claim(delivery.id)
    assert (taken.number, taken.failures, state(delivery.subscription)) == (13, 0, (True, 0, ""))
    statements.record(taken, OK)
    assert reload(delivery).status == "delivered"


def test_failures_of_other_subscriptions_and_of_renders_addresses_count_for_themselves(team):
    first, second = subscribe(team), subscribe(team)
    for to in (first, second, "https://hooks.example/", first):
        statements.record(statements.claim(deliver_to(to, team).id), BAD)
    assert (state(first)[1], state(second)[1]) == (2, 1)


def test_a_deleted_subscription_counts_nothing(team):
    subscription = subscribe(team)
    taken = statements.claim(deliver_to(subscription).id)
    change(subscription, enabled=False, secret="", deleted_at=subscription.created_at, failure_count=9)
    statements.record(taken, BAD)
    assert (state(subscription)[1], disabled(team)) == (9, [])
