"""Senders are killed: nothing is lost, and nothing is sent once its success is committed."""

import datetime as dt
import itertools
import json
import socket
import threading
import time
from collections import Counter, defaultdict

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from automette import metrics
from tests.conftest import wait_until
from tests.lib.outbound_servers import Server, answer
from tests.webhooks.receivers import (
    Gate,
    Senders,
    a_team,
    answering,
    attempts_of,
    change,
    deliver_to,
    ids_at,
    kill,
    make_due,
    own_senders,
    pass_leases_over,
    pass_pauses_over,
    reload,
    requests_of,
    settle,
    subscribe,
    suspend,
)
from webhooks.models import Attempt, Delivery, Event

pytestmark = pytest.mark.timeout(400)
EVENTS = 1000
CALLS_BETWEEN_KILLS = 200
MOST_CALLS_BETWEEN_KILLS = 300  # so that the events last for several kills, however late they come
ANSWER_SECONDS = 0.03  # of an attempt this is the longest part: kills come while some are being made
NEVER = "1000"  # seconds: no attempt that the receiver holds comes to its deadline


@pytest.fixture
def senders(database, test_environment, tmp_path):
    with own_senders(tmp_path) as senders:
        yield senders


class Moody:
    """Answers every fifth call with 500, an event's first ones; notes when it came, and which were answered well.

    `calls_of_sender` are those since the last kill. After the most of them it answers none until the sender is dead.
    """

    def __init__(self) -> None:
        self.came = defaultdict(list)
        self.answered = Counter()
        self._number = itertools.count(1)
        self.calls_of_sender, self._is_dead = 0, threading.Event()
        self._lock = threading.Lock()
        self.server = Server(self._respond)

    def bury(self) -> None:
        """Note all that a dead sender still sent, and answer another one."""
        self._is_dead.set()
        with socket.create_connection(("127.0.0.1", self.server.port)) as last:  # accepted after all others
            last.shutdown(socket.SHUT_WR)
            assert last.recv(1) == b""
        wait_until(lambda: not any("_serve" in thread.name for thread in threading.enumerate()))
        self.calls_of_sender, self._is_dead = 0, threading.Event()

    def _respond(self, peer, content: bytes) -> None:
        now = time.time()
        head, _, body = content.partition(b"\r\n\r\n")
        event_id = head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0].decode()
        self.came[event_id].append((now, body))
        with self._lock:
            self.calls_of_sender += 1
            good = next(self._number) % 5 != 0 or len(self.came[event_id]) > 5
        if self.calls_of_sender > MOST_CALLS_BETWEEN_KILLS:
            self._is_dead.wait()
            return
        time.sleep(ANSWER_SECONDS)
        with self._lock:
            self.answered[event_id] += good
        peer.sendall(answer(b"", "200 OK" if good else "500 Oops"))

    @property
    def calls(self) -> int:
        return sum(map(len, list(self.came.values())))


def test_1000_events_survive_senders_that_are_killed_again_and_again(senders: Senders):
    receiver = Moody()
    subscription = subscribe(a_team(), receiver.server.url)
    deliveries = [deliver_to(subscription, ring_at="2000-01-01T00:00Z") for _ in range(EVENTS)]
    bodies = {}
    for delivery in deliveries:
        bodies[delivery.event_id] = json.dumps({"event_id": delivery.event_id}).encode()
    for event in Event.objects.filter(pk__in=bodies):
        event.body = bodies[event.pk].decode()
        event.save(update_fields=["body"])
    senders.start_sweeper()
    senders.ring(deliveries[:500])  # the others' messages were lost
    kills = 0
    while Delivery.objects.exclude(status="delivered").exists():
        sender = senders.start(WEBHOOK_SECONDS=NEVER)
        wait_until(lambda: is_time_to_kill(receiver), 100)
        kill(sender)
        kills += 1
        receiver.bury()
        pass_leases_over()
    check_everything(deliveries, receiver, bodies)
    interrupted = Attempt.objects.filter(error_code="interrupted").count()
    twice = sum(count > 1 for count in receiver.answered.values())
    print(f"{kills} kills, {receiver.calls} calls, {interrupted} attempts interrupted, {twice} events answered twice")
    assert kills >= 3
    assert interrupted > 0, "no kill hit an attempt"


def is_time_to_kill(receiver: Moody) -> bool:
    pass_pauses_over()
    return (
        receiver.calls_of_sender >= CALLS_BETWEEN_KILLS or not Delivery.objects.exclude(status="delivered").exists()
    )


def check_everything(deliveries, receiver: Moody, bodies: dict[str, bytes]) -> None:
    """Judge by the receiver's notes and the rows."""
    assert receiver.came.keys() == bodies.keys()  # every event, and no other id on any try
    assert all(receiver.answered[event_id] >= 1 for event_id in bodies)
    for delivery in reload(*deliveries):
        came = receiver.came[delivery.event_id]
        assert {body for _, body in came} == {bodies[delivery.event_id]}
        assert max(moment for moment, _ in came) < delivery.delivered_at.timestamp()
        assert len(came) <= delivery.claim
    assert Delivery.objects.filter(status="delivered", failures__lt=10).count() == EVENTS
    succeeded = Attempt.objects.filter(success=True)
    assert succeeded.count() == succeeded.values("delivery").distinct().count() == EVENTS
    assert not Attempt.objects.filter(finished_at=None).exists()


def test_control_without_a_sweeper_what_was_being_sent_is_stranded(senders: Senders):
    gate = Gate()
    subscription = subscribe(a_team(), gate.url)
    deliveries = [deliver_to(subscription) for _ in range(5)]
    sender = senders.start()
    senders.ring(deliveries)
    wait_until(lambda: gate.waiting == 5, 60)
    kill(sender)
    gate.open()
    pass_leases_over()
    senders.start()
    alive = deliver_to(subscribe(a_team(), answering().url))
    senders.ring([alive])
    wait_until(lambda: reload(alive).status == "delivered", 60)
    assert settle(lambda: {one.status for one in reload(*deliveries)}) == {"sending"}
    senders.start_sweeper()  # what was missing
    wait_until(lambda: {one.status for one in reload(*deliveries)} == {"delivered"}, 60)
    assert sorted(ids_at(gate.server)) == sorted(2 * [one.event_id for one in deliveries])


def test_a_sender_that_dies_between_the_answer_and_the_commit_sends_again_with_the_same_id(senders: Senders):
    """It is suspended as it waits for the answer, and never gets to read it."""
    gate = Gate()
    delivery = deliver_to(subscribe(a_team(), gate.url, failure_count=9))
    sender = senders.start()
    senders.ring([delivery])
    wait_until(lambda: gate.waiting == 1, 60)
    suspend(sender)
    gate.open()
    wait_until(lambda: gate.waiting == 0)  # answered
    kill(sender)
    pass_leases_over()
    senders.start()
    senders.start_sweeper()
    wait_until(lambda: reload(delivery).status == "delivered", 60)
    assert ids_at(gate.server) == [delivery.event_id] * 2
    first, second = attempts_of(delivery)
    assert (first.error_code, second.success, delivery.failures) == ("interrupted", True, 0)
    assert [request.body for request in requests_of(gate.server)] == [delivery.event.body.encode()] * 2


def test_a_sender_that_is_stopped_ends_its_calls_and_rings_for_what_comes_next(senders: Senders):
    gate = Gate()
    subscription = subscribe(a_team(), gate.url)
    deliveries = [deliver_to(subscription) for _ in range(7)]
    sender = senders.start()
    senders.ring(deliveries)
    wait_until(lambda: gate.waiting == 5, 150)
    wait_until(lambda: senders.messages() == 0)
    sender.terminate()
    wait_until(lambda: not senders.are_listening(), 150)
    gate.open()
    assert sender.wait(150) == 0
    assert [one.status for one in reload(*deliveries)] == ["delivered"] * 5 + ["pending"] * 2
    assert senders.messages() >= 2
    senders.start()  # without a sweeper
    wait_until(lambda: {one.status for one in reload(*deliveries)} == {"delivered"}, 150)
    assert len(gate.server.requests) == 7


def test_a_message_for_a_delivery_that_is_gone_leaves_the_sender_at_work(senders: Senders):
    sender, receiver = senders.start(), answering()
    gone = deliver_to(subscribe(a_team(), receiver.url))
    Event.objects.filter(pk=gone.event_id).delete()
    senders.ring([gone, gone])
    after = deliver_to(subscribe(a_team(), receiver.url))
    senders.ring([after])
    wait_until(lambda: reload(after).status == "delivered", 60)
    assert (sender.poll(), ids_at(receiver)) == (None, [after.event_id])
    assert "Traceback" not in sender.log.read_text()


def test_a_sender_starts_no_engine_and_has_its_own_place_in_the_metrics(senders: Senders, settings):
    settings.REDIS_URL = senders.broker.url
    sender, team = senders.start(), a_team()
    good, bad = (subscribe(team, answering(status).url) for status in ("200 OK", "500 Oops"))
    delivery, failed = deliver_to(good), deliver_to(bad, failures=5)  # the next attempt is an hour away
    senders.ring([delivery, failed])
    wait_until(lambda: (reload(delivery).status, reload(failed).failures) == ("delivered", 6), 60)
    change(failed, next_attempt_at=Now() + dt.timedelta(hours=1))
    wait_until(lambda: not failed_to_count(), 60)
    page = metrics.exposition().decode()
    assert (
        f'automette_webhook_attempts_total{{outcome="timeout",worker="{socket.gethostname()}:{sender.pid}"}} 0'
        in page
    )
    assert "automette_webhook_senders 1.0" in page
    assert "automette_workers 0.0" in page
    assert 'automette_webhook_deliveries{status="pending"} 1.0' in page
    assert "automette_due_webhook_deliveries 0.0" in page
    assert "automette_oldest_due_webhook_delivery_seconds 0.0" in page
    make_due(failed)
    page = metrics.exposition().decode()
    assert "automette_due_webhook_deliveries 1.0" in page
    assert "automette_oldest_due_webhook_delivery_seconds 0.0" not in page
    assert "automette_engine" not in "".join(line for line in page.splitlines() if str(sender.pid) in line)


def failed_to_count() -> list[str]:
    """Outcomes that the sender's report does not tell of yet."""
    page = metrics.exposition().decode().splitlines()
    told = [line for line in page if line.startswith("automette_webhook_attempts_total") and line.endswith(" 1.0")]
    return [outcome for outcome in ("delivered", "http_error") if not any(f'"{outcome}"' in line for line in told)]


def test_deliveries_that_ended_are_counted_without_being_read(database):
    """The statement must use the index of open deliveries: a table of millions is mostly ended ones."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {metrics._OPEN_DELIVERIES}")
        assert "delivery_to_ring" in "\n".join(line for (line,) in cursor.fetchall())
