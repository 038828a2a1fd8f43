"""A receiver that never answers holds up nobody but itself: real senders, no sweeper to help them."""

import pytest

from tests.conftest import wait_until
from tests.webhooks.receivers import (
    Gate,
    Senders,
    a_team,
    answering,
    deliver_to,
    ids_at,
    own_senders,
    settle,
    subscribe,
)
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.timeout(400)
NEVER = "1000"  # seconds: no attempt of these tests comes to its deadline
CALLS_PER_RECEIVER = 5
CALLS_PER_TEAM = 20


@pytest.fixture
def senders(database, test_environment, tmp_path):
    with own_senders(tmp_path) as senders:
        yield senders


@pytest.fixture
def tarpit():
    gate = Gate()
    yield gate
    gate.open()


def due_at_the_tarpit(senders: Senders, tarpit: Gate):
    """Ring for 200 deliveries that get no answer, and wait until every message for them was taken."""
    subscription = subscribe(a_team(), tarpit.url)
    waiting = [deliver_to(subscription) for _ in range(200)]
    senders.ring(waiting)
    return subscription, waiting


def delivered(deliveries) -> int:
    return Delivery.objects.filter(pk__in=[one.pk for one in deliveries], status="delivered").count()


def test_others_are_served_while_a_tarpit_has_200_due(senders, tarpit):
    senders.start(WEBHOOK_SECONDS=NEVER)
    subscription, waiting = due_at_the_tarpit(senders, tarpit)
    good = [answering() for _ in range(20)]
    same_team = [subscribe(subscription.team, one.url) for one in good[:5]]
    others = [subscribe(a_team(), one.url) for one in good[5:]]
    events = [deliver_to(to) for to in [*same_team, *others] for _ in range(5)]
    senders.ring(events)
    wait_until(lambda: delivered(events) == len(events), 150)
    assert [sorted(ids_at(one)) for one in good] == [
        sorted(event.event_id for event in events[5 * place : 5 * place + 5]) for place in range(20)
    ]
    wait_until(lambda: tarpit.waiting == CALLS_PER_RECEIVER, 150)
    wait_until(lambda: senders.messages() == 0, 150)
    assert settle(lambda: Attempt.objects.filter(delivery__subscription=subscription).count()) == CALLS_PER_RECEIVER
    assert (len(tarpit.server.requests), tarpit.most) == (CALLS_PER_RECEIVER, CALLS_PER_RECEIVER)
    assert Delivery.objects.filter(subscription=subscription, status="pending").count() == 195
    tarpit.open()  # now it answers: the messages that were dropped are not missed, and there is no sweeper
    wait_until(lambda: delivered(waiting) == len(waiting), 150)
    assert sorted(ids_at(tarpit.server)) == sorted(one.event_id for one in waiting)
    assert tarpit.most <= CALLS_PER_RECEIVER


def test_control_without_the_caps_it_holds_every_place(senders, tarpit):
    no_caps = {"WEBHOOK_CALLS_PER_RECEIVER": "1000", "WEBHOOK_CALLS_PER_TEAM": "1000"}
    senders.start(WEBHOOK_SECONDS=NEVER, WEBHOOK_CALLS_PER_PROCESS="64", **no_caps)
    due_at_the_tarpit(senders, tarpit)
    wait_until(lambda: tarpit.waiting == 64, 150)
    good = answering()
    event = deliver_to(subscribe(a_team(), good.url))
    senders.ring([event])
    assert settle(lambda: (delivered([event]), tarpit.waiting)) == (0, 64)
    assert good.requests == []


def test_a_team_with_many_tarpits_leaves_places_to_others(senders, tarpit):
    senders.start(WEBHOOK_SECONDS=NEVER)
    team, good = a_team(), answering()
    subscriptions = [subscribe(team, f"{tarpit.url}/{number}") for number in range(10)]
    waiting = [deliver_to(to) for to in subscriptions for _ in range(10)]
    senders.ring(waiting)
    wait_until(lambda: tarpit.waiting == CALLS_PER_TEAM, 150)
    events = [deliver_to(subscribe(a_team(), good.url)) for _ in range(10)]
    senders.ring(events)
    wait_until(lambda: delivered(events) == len(events), 150)
    wait_until(lambda: senders.messages() == 0, 150)
    assert settle(lambda: tarpit.waiting) == CALLS_PER_TEAM == tarpit.most
    tarpit.open()
    wait_until(lambda: delivered(waiting) == len(waiting), 150)
    assert tarpit.most == CALLS_PER_TEAM


def test_tarpits_of_ten_teams_leave_places_to_others(senders, tarpit):
    senders.start(WEBHOOK_SECONDS=NEVER)
    teams = [a_team() for _ in range(10)]
    subscriptions = [subscribe(team, f"{tarpit.url}/{number}") for team in teams for number in range(4)]
    waiting = [deliver_to(to) for to in subscriptions for _ in range(6)]
    senders.ring(waiting)
    wait_until(lambda: tarpit.waiting == 10 * CALLS_PER_TEAM, 150)
    good = answering()
    events = [deliver_to(subscribe(a_team(), good.url)) for _ in range(10)]
    senders.ring(events)
    wait_until(lambda: delivered(events) == len(events), 150)
    tarpit.open()
    wait_until(lambda: delivered(waiting) == len(waiting), 150)
    assert tarpit.most == 10 * CALLS_PER_TEAM
