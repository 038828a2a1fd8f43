"""Who may make an attempt: one at a time for a delivery, so many for a receiver and for a team."""

import datetime as dt
import threading

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from tests.webhooks.receivers import (
    SILENT_URL,
    a_team,
    attempts_of,
    change,
    database_time,
    deliver_to,
    end_lease,
    in_threads,
    make_due,
    reload,
    subscribe,
)
from webhooks import locking, statements, turns
from webhooks.models import Attempt, Delivery
from webhooks.statements import Result

pytestmark = pytest.mark.usefixtures("own_rows")
OK = Result(http_status=200, milliseconds=3, answer="ok")
BAD = Result(
    http_status=500, milliseconds=3, answer="no", error="The receiver answered 500.", error_code="http_error"
)


@pytest.fixture
def team(database):
    return a_team()


def claims(deliveries) -> list[Delivery]:
    """Claim each of them; return those that could be."""
    return [one for one in deliveries if statements.claim(one.id) is not None]


def test_a_claim_takes_a_lease_and_leaves_an_attempt(team, settings):
    settings.WEBHOOK_SECONDS = 7
    subscription = subscribe(team, "https://hooks.example/in?a=b")
    delivery = deliver_to(subscription)
    before = database_time()
    taken = statements.claim(delivery.id)
    reload(delivery)
    assert (delivery.status, delivery.claim, delivery.failures) == ("sending", 1, 0)
    assert before <= delivery.lease_expires_at - dt.timedelta(seconds=17) <= database_time()
    assert delivery.ring_at == delivery.lease_expires_at
    [attempt] = attempts_of(delivery)
    assert (attempt.claim, attempt.success, attempt.finished_at, attempt.url) == (1, False, None, subscription.url)
    assert taken == statements.Claim(
        delivery_id=delivery.id,
        number=1,
        attempt_id=attempt.id,
        team_id=team.id,
        receiver=subscription.id,
        manual=False,
        failures=0,
        event_id=delivery.event_id,
        body=delivery.event.body,
        url=subscription.url,
        subscription_id=subscription.id,
        secret=subscription.secret,
        previous_secret="",
        previous_secret_until=None,
        is_raw_key=False,
    )


def test_the_address_of_a_render_is_claimed_without_secrets(team):
    taken = statements.claim(deliver_to("https://hooks.example/r", team).id)
    assert (taken.url, taken.subscription_id, taken.secret) == ("https://hooks.example/r", None, "")


def test_of_many_that_claim_at_once_one_gets_it(team):
    delivery = deliver_to(subscribe(team))
    taken = in_threads(8, lambda _: statements.claim(delivery.id))
    assert [one.number for one in taken if one] == [1]
    assert len(attempts_of(delivery)) == 1


@pytest.mark.parametrize("status", ["delivered", "failed", "suspended"])
def test_an_ended_delivery_is_not_claimed(team, status):
    delivery = deliver_to(subscribe(team), status=status, ring_at=None, delivered_at=Now())
    assert statements.claim(delivery.id) is None
    assert (reload(delivery).status, attempts_of(delivery)) == (status, [])


def test_what_is_not_due_is_not_claimed(team):
    delivery = deliver_to(subscribe(team), next_attempt_at=Now() + dt.timedelta(minutes=1))
    assert statements.claim(delivery.id) is None
    assert reload(delivery).status == "pending"
    assert statements.claim(make_due(delivery).id) is not None


def test_a_delivery_that_is_gone_or_never_was_is_not_claimed(team):
    delivery = deliver_to(subscribe(team))
    delivery.event.delete()
    assert statements.claim(delivery.id) is None
    assert statements.claim("nothing") is None
    assert statements.claim("") is None


def test_after_the_lease_it_is_claimed_again_and_the_first_attempt_was_interrupted(team):
    delivery = deliver_to(subscribe(team))
    assert statements.claim(delivery.id).number == 1
    assert statements.claim(delivery.id) is None
    assert statements.claim(end_lease(delivery).id).number == 2
    first, second = attempts_of(delivery)
    assert (first.error_code, first.success, second.error_code) == ("interrupted", False, "")
    assert first.error == "The attempt was interrupted on our side. It counts for nothing."
    assert first.finished_at is not None
    assert second.finished_at is None
    assert (reload(delivery).failures, delivery.subscription.failure_count) == (0, 0)


# --- disabled and deleted subscriptions


def test_a_delivery_of_a_disabled_subscription_is_suspended(team):
    subscription = subscribe(team, enabled=False)
    delivery = deliver_to(subscription)
    assert statements.claim(delivery.id) is None
    reload(delivery)
    assert (delivery.status, delivery.ring_at, delivery.next_attempt_at) == ("suspended", None, None)
    assert attempts_of(delivery) == []


def test_a_delivery_of_a_deleted_subscription_has_failed(team):
    subscription = subscribe(team, enabled=False, secret="", deleted_at=Now())
    delivery = deliver_to(subscription)
    assert statements.claim(delivery.id) is None
    assert (reload(delivery).status, delivery.ring_at, attempts_of(delivery)) == ("failed", None, [])


@pytest.mark.parametrize("deleted", [{}, {"secret": "", "deleted_at": Now()}], ids=["disabled", "deleted"])
def test_what_was_delivered_once_stays_so(team, deleted):
    subscription = subscribe(team, enabled=False, **deleted)
    delivery = deliver_to(subscription, manual=True, delivered_at=Now())
    assert statements.claim(delivery.id) is None
    assert (reload(delivery).status, delivery.manual) == ("delivered", False)


def test_one_ring_sets_all_aside_that_is_due_for_a_disabled_subscription(team):
    subscription = subscribe(team)
    due = [deliver_to(subscription) for _ in range(12)]
    later = deliver_to(subscription, next_attempt_at=Now() + dt.timedelta(hours=1))
    other = deliver_to(subscribe(team))
    change(subscription, enabled=False)
    assert statements.claim(due[3].id) is None
    assert {one.status for one in reload(*due)} == {"suspended"}
    assert (reload(later).status, reload(other).status) == ("pending", "pending")


def test_an_attempt_whose_sender_died_ends_with_its_disabled_subscription(team):
    subscription = subscribe(team)
    delivery = deliver_to(subscription)
    assert statements.claim(delivery.id)
    change(subscription, enabled=False)
    assert statements.claim(end_lease(delivery).id) is None
    assert (reload(delivery).status, attempts_of(delivery)[0].error_code) == ("suspended", "interrupted")


# --- caps


def test_a_receiver_has_so_many_calls_at_once(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 3
    subscription = subscribe(team)
    waiting = [deliver_to(subscription) for _ in range(7)]
    assert claims(waiting) == waiting[:3]
    assert {one.status for one in reload(*waiting[3:])} == {"pending"}
    assert claims([deliver_to(subscribe(team))])
    assert claims([deliver_to(subscribe(a_team()))])


def test_at_the_cap_a_message_changes_nothing(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    subscription = subscribe(team)
    statements.claim(deliver_to(subscription).id)
    waiting = deliver_to(subscription)
    before = Delivery.objects.values().get(pk=waiting.pk)
    assert statements.claim(waiting.id) is None
    assert (Delivery.objects.values().get(pk=waiting.pk), attempts_of(waiting)) == (before, [])


def test_who_finds_the_last_place_taken_behind_the_lock_waits_half_a_minute(team, settings, monkeypatch):
    """It saw a place before it had the lock, and somebody else took it."""
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    subscription = subscribe(team)
    statements.claim(deliver_to(subscription).id)
    waiting = deliver_to(subscription)
    monkeypatch.setattr(statements, "_HAS_PLACE", "SELECT team_id FROM webhooks_delivery WHERE id = %(id)s")
    before = database_time()
    assert statements.claim(waiting.id) is None
    reload(waiting)
    assert (waiting.status, waiting.claim, waiting.lease_expires_at) == ("pending", 0, None)
    assert before <= waiting.ring_at - dt.timedelta(seconds=30) <= database_time()


def test_a_team_has_so_many_calls_at_once(team, settings):
    settings.WEBHOOK_CALLS_PER_TEAM = 4
    waiting = [deliver_to(subscribe(team)) for _ in range(6)]
    assert claims(waiting) == waiting[:4]
    assert claims([deliver_to(subscribe(a_team()))])


def test_leases_that_have_ended_occupy_no_place(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    subscription = subscribe(team)
    dead, waiting = deliver_to(subscription), deliver_to(subscription)
    assert claims([dead, waiting]) == [dead]
    end_lease(dead)
    assert claims([waiting]) == [waiting]
    assert claims([dead]) == []  # its place was taken: it waits like any other
    assert (reload(dead).status, dead.lease_expires_at) == ("pending", None)


def test_many_that_claim_at_once_do_not_overshoot(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 3
    settings.WEBHOOK_CALLS_PER_TEAM = 5
    first, second = subscribe(team), subscribe(team)
    waiting = [deliver_to(to) for _ in range(8) for to in (first, second)]
    in_threads(16, lambda number: statements.claim(waiting[number].id))
    sending = Delivery.objects.filter(team=team, status="sending")
    assert sending.count() == 5
    assert sending.filter(subscription=first).count() <= 3
    assert sending.filter(subscription=second).count() <= 3


def test_control_without_the_lock_they_do(team, settings, monkeypatch):
    """Two transactions that each count before the other is committed."""
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    monkeypatch.setattr(locking, "_LOCK", "SELECT %(team)s::text, %(locks)s::bigint")
    subscription = subscribe(team)
    waiting = [deliver_to(subscription) for _ in range(2)]

    def claim_slowly(number):
        with transaction.atomic():
            taken = statements.claim(waiting[number].id)
            together.wait()
            return taken

    together = threading.Barrier(2)
    assert all(in_threads(2, claim_slowly))


# --- who goes on with what


def go_on(taken, result) -> statements.Claim | None:
    statements.record(taken, result)
    return statements.claim_next(taken)


def hand_over(taken) -> str | None:
    statements.record(taken, OK)
    return turns.hand_over(team_id=taken.team_id, receiver=taken.receiver, subscription_id=taken.subscription_id)


def test_who_ends_a_call_goes_on_with_the_oldest_of_its_receiver(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    subscription = subscribe(team)
    first, second, third = (deliver_to(subscription) for _ in range(3))
    other = deliver_to(subscribe(team), next_attempt_at=Now() - dt.timedelta(days=1))  # older, and of another
    taken = statements.claim(first.id)
    assert claims([third, second]) == []
    taken = go_on(taken, OK)
    assert taken.delivery_id == second.id
    taken = go_on(taken, BAD)
    assert taken.delivery_id == third.id
    taken = go_on(taken, OK)
    assert taken.delivery_id == other.id
    assert go_on(taken, OK) is None
    assert [one.status for one in reload(first, second, third)] == ["delivered", "pending", "delivered"]


def test_who_brings_a_team_below_its_limit_goes_on_with_its_oldest(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    settings.WEBHOOK_CALLS_PER_TEAM = 2
    busy, other = subscribe(team), subscribe(team)
    first, refused, own = deliver_to(busy), deliver_to(other), deliver_to(busy)
    blocked = subscribe(team)
    second, excluded = deliver_to(blocked), deliver_to(blocked, next_attempt_at=Now() - dt.timedelta(days=1))
    taken = statements.claim(first.id)
    assert statements.claim(second.id)
    assert claims([refused, own, excluded]) == []
    taken = go_on(taken, OK)
    assert taken.delivery_id == refused.id
    taken = go_on(taken, OK)
    assert taken.delivery_id == own.id
    assert go_on(taken, OK) is None


def test_those_who_end_at_the_same_moment_ring_for_different_ones(team):
    subscription = subscribe(team)
    waiting = [deliver_to(subscription) for _ in range(10)]
    taken = [statements.claim(one.id) for one in waiting[:5]]
    before = database_time()
    rung = in_threads(5, lambda number: hand_over(taken[number]))
    after = database_time()
    assert set(rung) == {one.id for one in waiting[5:]}
    assert all(before <= one.next_attempt_at <= after for one in reload(*waiting[5:]))
    assert {one.ring_at - one.next_attempt_at for one in waiting[5:]} == {dt.timedelta(seconds=5)}


def test_nobody_goes_on_with_what_is_not_due_or_disabled_or_anothers(team, settings):
    settings.WEBHOOK_CALLS_PER_TEAM = 2
    subscription = subscribe(team)
    first, second = deliver_to(subscription), deliver_to(subscription)
    deliver_to(subscription, next_attempt_at=Now() + dt.timedelta(hours=1))
    deliver_to(subscribe(team, enabled=False))
    deliver_to(subscribe(a_team()))
    one, two = statements.claim(first.id), statements.claim(second.id)
    deliver_to(subscription)
    change(subscription, enabled=False)
    assert hand_over(one) is None
    assert hand_over(two) is None


def test_the_same_address_of_two_teams_is_two_receivers(team, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 1
    ours, theirs = deliver_to(SILENT_URL, team), deliver_to(SILENT_URL, a_team())
    assert claims([ours, theirs]) == [ours, theirs]
    assert claims([deliver_to(SILENT_URL, team)]) == []


# --- what late ones may do


def test_a_late_success_counts_and_nothing_is_sent_any_more(team):
    delivery = deliver_to(subscribe(team))
    first = statements.claim(delivery.id)
    second = statements.claim(end_lease(delivery).id)
    statements.record(first, OK)
    reload(delivery)
    assert (delivery.status, delivery.ring_at, delivery.lease_expires_at) == ("delivered", None, None)
    assert statements.claim(delivery.id) is None
    delivered_at = delivery.delivered_at
    statements.record(second, BAD)
    reload(delivery)
    assert (delivery.status, delivery.failures, delivery.delivered_at) == ("delivered", 0, delivered_at)
    assert delivery.subscription.failure_count == 0
    assert [(one.success, one.error_code) for one in attempts_of(delivery)] == [(True, ""), (False, "http_error")]


def test_a_late_failure_changes_nothing_but_its_attempt(team):
    delivery = deliver_to(subscribe(team))
    first = statements.claim(delivery.id)
    second = statements.claim(end_lease(delivery).id)
    before = Delivery.objects.values().get(pk=delivery.id)
    statements.record(first, BAD)
    assert Delivery.objects.values().get(pk=delivery.id) == before
    assert delivery.subscription.failure_count == 0
    statements.record(second, OK)
    assert reload(delivery).status == "delivered"


def test_a_late_success_does_not_answer_for_a_redelivery(team):
    """It was delivered by the second claim and asked for again; the first one's success comes only now."""
    delivery = deliver_to(subscribe(team))
    first = statements.claim(delivery.id)
    statements.record(statements.claim(end_lease(delivery).id), OK)
    change(delivery, status="pending", manual=True, next_attempt_at=Now(), ring_at=Now() + dt.timedelta(days=1))
    statements.record(first, OK)
    assert (reload(delivery).status, delivery.manual) == ("pending", True)


def test_recording_what_was_deleted_meanwhile_ends_quietly(team):
    delivery = deliver_to(subscribe(team))
    other = deliver_to(delivery.subscription)
    for result in (OK, BAD):
        taken = statements.claim(delivery.id)
        Attempt.objects.filter(delivery=delivery).delete()
        delivery.event.delete()
        assert go_on(taken, result).delivery_id == other.id
        change(other, status="pending", lease_expires_at=None)
        delivery = deliver_to(delivery.subscription, next_attempt_at=Now())
    assert delivery.subscription.failure_count == 0
    assert not Delivery.objects.filter(pk=taken.delivery_id).exists()


def test_an_attempt_without_its_delivery_cannot_be(team):
    """What the claim relies on when it locks the delivery before it writes the attempt."""
    with transaction.atomic():
        Attempt.objects.create(id="x", delivery_id="nothing", claim=1, url=SILENT_URL)
        with pytest.raises(IntegrityError, match="is not present in table"):
            connection.check_constraints()
        transaction.set_rollback(True)
