"""When a failed delivery is tried again, and when no more."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.receivers import (
    a_team,
    answering,
    attempt_at,
    attempts_of,
    change,
    database_time,
    deliver_to,
    failing_until_due_again,
    ids_at,
    make_due,
    reload,
    subscribe,
    work_off,
)
from webhooks import delivery as sender
from webhooks import schedule
from webhooks.models import Delivery
from webhooks.schedule import DELAYS, MAX_FAILURES, read_retry_after, seconds_until_next

pytestmark = pytest.mark.usefixtures("own_rows")
HOUR = 3600
NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.fixture(autouse=True)
def _real_schedule(_patience, monkeypatch):
    monkeypatch.setattr(schedule, "DELAYS", DELAYS)


@pytest.fixture
def team(database, settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    return a_team()


# --- the schedule


def test_the_schedule_is_what_is_promised():
    assert DELAYS == (5, 30, 120, 600, 1800, 3600, 7200, 18_000, 36_000)
    assert (MAX_FAILURES, sum(DELAYS) / HOUR) == (10, pytest.approx(18.7, abs=0.1))


@given(failures=st.integers(1, 9))
def test_each_pause_is_that_of_the_schedule_within_a_tenth(failures):
    delay = DELAYS[failures - 1]
    assert 0.9 * delay <= seconds_until_next(failures) <= 1.1 * delay


def test_pauses_are_spread_out():
    assert len({seconds_until_next(1) for _ in range(20)}) > 10


@pytest.mark.parametrize("failures", [10, 11, 32_767])
def test_after_ten_there_is_no_other(failures):
    assert seconds_until_next(failures) is None
    assert seconds_until_next(failures, retry_after=1) is None


@given(failures=st.integers(1, 9), asked=st.floats(0, 1e9))
def test_what_is_asked_for_makes_it_longer_never_shorter_and_not_for_ever(failures, asked):
    delay, pause = DELAYS[failures - 1], seconds_until_next(failures, retry_after=asked)
    most = max(2 * delay, HOUR)
    assert 0.9 * delay <= pause <= most
    if 1.1 * delay < asked < most:
        assert pause == asked


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("999999999", 999_999_999),
        ("9" * 5000, 10**9),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120),
        ("Fri Jan 15 08:02:00 2027", 120),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 - NOW),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("soon", None),
        ("١٢", None),
        ("²", None),
        ("Fri, 99 Jan 2027 08:02:00 GMT", None),
        ("Fri, 15 Jan 99999 08:02:00 GMT", None),
        ("Fri, 15 Jan 2027", None),
        ("120, 240", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    assert read_retry_after(value, now=NOW) == seconds


@given(st.text(max_size=60))
def test_nothing_in_retry_after_breaks_it(value):
    found = read_retry_after(value, now=NOW)
    assert found is None or found >= 0


# --- the rows


def pause_of(delivery: Delivery, run) -> tuple[dt.timedelta, dt.timedelta]:
    """How far in the future the next attempt is after `run`: at least, at most."""
    before = database_time()
    run()
    after = database_time()
    reload(delivery)
    assert (delivery.status, delivery.lease_expires_at) == ("pending", None)
    assert delivery.ring_at == delivery.next_attempt_at
    return delivery.next_attempt_at - after, delivery.next_attempt_at - before


def test_ten_attempts_then_it_has_failed(team, monkeypatch):
    """By a schedule a hundred times as long: no attempt becomes due by itself, however slow this machine is."""
    delays = [100 * delay for delay in DELAYS]
    monkeypatch.setattr(schedule, "DELAYS", delays)
    receiver = answering("500 Oops")
    delivery = deliver_to(receiver.url, team)
    for failures, delay in enumerate(delays, 1):
        least, most = pause_of(delivery, lambda: work_off(delivery))
        assert least <= dt.timedelta(seconds=1.1 * delay)
        assert most >= dt.timedelta(seconds=0.9 * delay)
        assert delivery.failures == failures
        assert sender.deliver(delivery.id, ring=pytest.fail) is None  # not before its time
        make_due(delivery)
    work_off(delivery)
    reload(delivery)
    assert (delivery.status, delivery.failures, delivery.claim) == ("failed", 10, 10)
    assert (delivery.next_attempt_at, delivery.ring_at, delivery.delivered_at) == (None, None, None)
    assert ids_at(receiver) == [delivery.event_id] * 10
    assert [one.claim for one in attempts_of(delivery)] == list(range(1, 11))


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Busy"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("600", 600), ("1", 120), ("315360000", HOUR), ("Fri, 31 Dec 9999 23:59:59 GMT", HOUR), ("never", 120)],
)
def test_a_receiver_may_ask_for_time(team, status, value, seconds):
    delivery = deliver_to(answering(status, f"Retry-After: {value}").url, team, failures=2)
    least, most = pause_of(delivery, lambda: work_off(delivery))
    assert least <= dt.timedelta(seconds=1.1 * seconds)
    assert most >= dt.timedelta(seconds=0.9 * seconds)


def test_other_answers_cannot_ask_for_time(team):
    delivery = deliver_to(answering("500 Oops", "Retry-After: 600").url, team, failures=2)
    least, _ = pause_of(delivery, lambda: work_off(delivery))
    assert least <= dt.timedelta(seconds=132)


def test_at_the_end_of_the_schedule_twice_the_pause_may_be_asked_for(team):
    delivery = deliver_to(answering("503 Busy", "Retry-After: 9999999").url, team, failures=8)
    least, most = pause_of(delivery, lambda: work_off(delivery))
    assert least <= dt.timedelta(hours=20) <= most


def test_a_success_ends_it_whatever_came_before(team):
    receiver = answering("500 Oops")
    delivery = deliver_to(receiver.url, team, failures=3)
    failing_until_due_again(delivery, 3)
    receiver.respond = answering().respond
    failing_until_due_again(delivery, 3)
    assert (reload(delivery).status, delivery.failures, delivery.claim) == ("delivered", 6, 4)
    assert len(receiver.requests) == 4


# --- 410


def test_gone_ends_the_delivery_and_disables_the_subscription(team):
    receiver = answering("410 Gone")
    subscription = subscribe(team, receiver.url)
    delivery, waiting = deliver_to(subscription), deliver_to(subscription)
    delivery, attempt = attempt_at(delivery)
    assert (delivery.status, delivery.failures, delivery.next_attempt_at) == ("failed", 1, None)
    assert attempt.error == "The receiver answered 410: it wants no more deliveries."
    assert attempt.error_code == "gone"
    subscription.refresh_from_db()
    assert (subscription.enabled, subscription.failure_count) == (False, 1)
    assert subscription.disabled_reason == "The receiver answered 410."
    work_off(waiting)
    assert (reload(waiting).status, len(receiver.requests)) == ("suspended", 1)


def test_gone_ends_what_goes_to_the_address_of_a_render(team):
    delivery, attempt = attempt_at(deliver_to(answering("410 Gone").url, team))
    assert (delivery.status, delivery.failures, attempt.error_code) == ("failed", 1, "gone")


# --- attempts that somebody asked for


MANUAL = {"manual": True}


@pytest.mark.parametrize("status", ["500 Oops", "410 Gone"])
def test_a_manual_attempt_is_made_once_and_counts_nowhere(team, status):
    receiver = answering(status)
    subscription = subscribe(team, receiver.url, failure_count=9)
    delivery, attempt = attempt_at(deliver_to(subscription, failures=10, **MANUAL))
    assert (delivery.status, delivery.failures, delivery.manual, attempt.manual) == ("failed", 10, False, True)
    assert (delivery.next_attempt_at, delivery.ring_at, delivery.lease_expires_at) == (None, None, None)
    subscription.refresh_from_db()
    assert (subscription.enabled, subscription.failure_count) == (True, 9)


def test_what_was_delivered_stays_so_when_it_cannot_be_delivered_again(team):
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    receiver = answering("500 Oops")
    delivery, _ = attempt_at(deliver_to(subscribe(team, receiver.url), delivered_at=moment, **MANUAL))
    assert (delivery.status, delivery.delivered_at, delivery.manual) == ("delivered", moment, False)


def test_a_manual_attempt_during_which_the_subscription_was_disabled_is_suspended(team):
    subscription = subscribe(team)
    receiver = answering("500 Oops")
    real = receiver.respond

    def disable_and_answer(peer, request):
        change(subscription, enabled=False)
        sender.connection.close()
        real(peer, request)

    receiver.respond = disable_and_answer
    change(subscription, url=receiver.url)
    delivery, _ = attempt_at(deliver_to(subscription, **MANUAL))
    assert (delivery.status, delivery.manual) == ("suspended", False)


def test_a_manual_success_is_a_success(team):
    receiver = answering()
    subscription = subscribe(team, receiver.url, failure_count=9)
    delivery, attempt = attempt_at(deliver_to(subscription, failures=10, **MANUAL))
    assert (delivery.status, delivery.failures, attempt.success) == ("delivered", 10, True)
    subscription.refresh_from_db()
    assert subscription.failure_count == 0
