"""What the sweeper rings for, one round at a time. Real sweepers and senders are in test_sender_faults.py."""

import datetime as dt

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django.db.models.functions import Now

from renders import sweeping as render_sweeping
from tests.renders.faults import own_broker, own_database
from tests.webhooks.receivers import (
    a_team,
    change,
    database_time,
    deliver_to,
    end_lease,
    in_threads,
    reload,
    subscribe,
)
from webhooks import ringing, statements, sweeping
from webhooks.models import Delivery
from webhooks.sweeping import sweep


@pytest.fixture(scope="module", autouse=True)
def own_installation(database):
    """A database that no running sweeper looks at, and a Redis whose queues are as long as a test makes them."""
    with own_database(), own_broker() as broker:
        yield broker


@pytest.fixture
def queues(own_installation):
    with own_installation.client() as client:
        yield client


@pytest.fixture(autouse=True)
def rung(own_installation, queues, settings, monkeypatch):
    """The deliveries that were rung for, in order; nothing else is due."""
    queues.flushall()
    settings.REDIS_URL = own_installation.url
    Delivery.objects.filter(status__in=["pending", "sending"]).update(ring_at=Now() + dt.timedelta(days=1))
    found = []

    def send(task, *, queue, kwargs):
        assert (task.name, queue) == ("webhooks.send_delivery", "webhooks")
        found.append(kwargs["delivery_id"])
        return True

    monkeypatch.setattr(ringing, "send", send)
    return found


def be_late(delivery: Delivery, seconds: float = 1) -> Delivery:
    late = Now() - dt.timedelta(seconds=seconds)
    return change(delivery, ring_at=late, **({"next_attempt_at": late} if delivery.status == "pending" else {}))


def late(to=None, seconds: float = 1) -> Delivery:
    return be_late(deliver_to(to or subscribe(a_team())), seconds)


def test_what_is_not_to_be_rung_for_yet_is_left_alone(rung):
    deliver_to(subscribe(a_team()), ring_at=Now() + dt.timedelta(seconds=5))
    assert (sweep(), rung) == (0, [])


def test_a_delivery_whose_message_was_lost_is_rung_for_once_in_its_time(rung):
    delivery = late()
    assert (sweep(), sweep(), rung) == (1, 0, [delivery.id])
    reload(delivery)
    assert (delivery.status, delivery.claim) == ("pending", 0)


def test_rings_come_less_and_less_often(rung):
    delivery = late()
    for waited, pause in ((1, 10), (20, 20), (300, 300), (3600, 600), (10**6, 600)):
        began = database_time()
        be_late(delivery, waited)
        before = database_time()
        assert sweep() == 1
        after = database_time()
        pushed = reload(delivery).ring_at - dt.timedelta(seconds=pause)
        assert before <= pushed <= after + (after - began)  # it has waited so much longer meanwhile


def test_an_attempt_whose_sender_died_is_rung_for_after_its_lease(rung):
    delivery = deliver_to(subscribe(a_team()))
    assert statements.claim(delivery.id)
    assert (sweep(), rung) == (0, [])
    be_late(end_lease(delivery))
    assert (sweep(), rung) == (1, [delivery.id])
    assert statements.claim(delivery.id).number == 2


@pytest.mark.parametrize("status", ["delivered", "failed", "suspended"])
def test_ended_deliveries_are_not_rung_for(rung, status):
    deliver_to(subscribe(a_team()), status=status, ring_at=None, delivered_at=Now())
    assert (sweep(), rung) == (0, [])


def test_of_a_receiver_only_as_many_are_rung_for_as_may_be_called(rung, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 3
    many, few = subscribe(a_team()), subscribe(a_team())
    crowd = [late(many, 60 - number) for number in range(20)]
    others = [late(few) for _ in range(2)]
    assert sweep() == 5
    assert {*rung} > {one.id for one in others}
    assert len({*rung} & {one.id for one in crowd}) == 3
    assert (sweep(), {one.ring_at > database_time() for one in reload(*crowd)}) == (0, {True})


def test_while_the_queue_is_long_only_what_has_waited_long_is_rung_for(rung, queues):
    fresh, old, dead = late(), late(seconds=120), deliver_to(subscribe(a_team()))
    assert statements.claim(dead.id)
    be_late(end_lease(dead))
    queues.rpush("webhooks", *["message"] * 201)
    assert (sweep(), {*rung}) == (2, {old.id, dead.id})
    queues.delete("webhooks")
    assert (sweep(), rung[2:]) == (1, [fresh.id])


def test_many_sweepers_ring_once(rung):
    deliveries = [late() for _ in range(30)]
    assert sum(in_threads(6, lambda _: sweep())) == 30
    assert sorted(rung) == sorted(one.id for one in deliveries)


def test_more_than_one_round_is_needed_for_very_many_and_the_longest_due_come_first(rung, monkeypatch):
    monkeypatch.setattr(sweeping, "_BATCH", 2)
    oldest, newest, middle = late(seconds=30), late(seconds=10), late(seconds=20)
    assert (sweep(), {*rung}) == (2, {oldest.id, middle.id})
    assert (sweep(), rung[2:]) == (1, [newest.id])


def test_a_broker_that_refuses_ends_the_round_and_the_next_one_rings(rung, monkeypatch):
    delivery = late()
    monkeypatch.setattr(ringing, "send", lambda *_, **__: False)
    assert sweep() == 1
    assert reload(delivery).ring_at > database_time()


def test_the_command_sweeps_renders_and_deliveries(rung, queues):
    delivery = late()
    call_command("sweep", "--once")
    assert rung == [delivery.id]


@pytest.mark.parametrize(("part", "left"), [(render_sweeping, 1), (sweeping, 0)])
def test_what_one_part_cannot_do_does_not_keep_the_other_from_its_work(rung, monkeypatch, part, left):
    def away():
        raise DatabaseError

    late()
    monkeypatch.setattr(part, "sweep", away)
    call_command("sweep", "--once")
    assert len(rung) == left
