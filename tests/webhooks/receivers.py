"""Receivers of webhooks on loopback, and rows that are due for them."""

import contextlib
import datetime as dt
import itertools
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import kombu
from django.db import connection
from django.db.models.functions import Now

from accounts.models import Team
from accounts.services import create_team
from automette.lib.encryption import encrypt
from automette.lib.ids import new_id
from automette.stack.procfile import read_procfile
from tests.conftest import Processes, wait_until
from tests.lib.outbound_servers import Server, answer, saying
from tests.renders.faults import Broker, own_broker, own_database
from webhooks import delivery as sender
from webhooks import sending
from webhooks.models import Attempt, Delivery, Event, Subscription
from webhooks.sending import Sender
from webhooks.signing import new_secret
from webhooks.tasks import send_delivery

SILENT_URL = "http://127.0.0.1:9/hook"
"""Of rows that nobody is to send."""
BODY = '{"event_id":"x","event":"render.completed","data":{"name":"Ünï ✓"}}'
PAST = dt.timedelta(seconds=1)


# Where no sweeper runs, a message is not to be lost because a busy machine keeps a thread waiting for a connection.
PATIENT_CELERY = """
from automette import settings
settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"] = 60
from celery.__main__ import main
main()
"""


class Request(NamedTuple):
    """What a receiver was sent; names of headers are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


def requests_of(server: Server) -> list[Request]:
    return [_parsed(content) for content in list(server.requests)]


def _parsed(content: bytes) -> Request:
    head, _, body = content.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines)
    assert len(headers) == len(lines), "a header came twice"
    return Request(line, {name.lower(): value for name, value in headers.items()}, body)


def ids_at(server: Server) -> list[str]:
    return [request.headers["webhook-id"] for request in requests_of(server)]


def answering(status: str = "200 OK", *headers: str, body: bytes = b"ok") -> Server:
    return Server(saying(answer(body, status, *headers)))


class Gate:
    """Receives, and answers once it is opened; `waiting` is how many calls it holds."""

    def __init__(self, status: str = "200 OK") -> None:
        self._answer = answer(b"ok", status)
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self.waiting = self.most = 0
        self.server = Server(self._respond)
        self.url = self.server.url

    def _respond(self, peer, _request) -> None:
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        try:
            self._opened.wait(600)
        finally:
            with self._lock:
                self.waiting -= 1
        peer.sendall(self._answer)

    def open(self) -> None:
        self._opened.set()


def a_team() -> Team:
    return create_team(name="A team", actor="test")


def subscribe(team: Team, url: str = SILENT_URL, **more) -> Subscription:
    """A subscription; its secret in clear text stands on it as `clear_secret`."""
    subscription_id, secret = new_id(), new_secret()
    row = {"url": url, "events": ["render.completed"], "secret": encrypt(secret, subscription_id), **more}
    subscription = Subscription.objects.create(id=subscription_id, team=team, **row)
    subscription.clear_secret = secret
    return subscription


def new_event(team: Team, body: str = BODY) -> Event:
    return Event.objects.create(
        id=f"evt_render_{new_id()}", team=team, name="render.completed", render_id=new_id(), body=body
    )


class Senders:
    """Senders and sweepers as processes, on a database and a Redis that nobody else uses."""

    def __init__(self, folder: Path, database_url: str, broker: Broker) -> None:
        self.broker, self.processes = broker, Processes(folder)
        self._environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": broker.url,
            "OUTBOUND_ALLOW_HTTP": "true",
            "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
            "SWEEP_SECONDS": "0.2",
        }

    def start(self, **environment: str) -> subprocess.Popen:
        """Start a sender as the Procfile has it."""
        name = f"webhooks-{len(self.processes.running)}"
        program, *arguments = shlex.split(read_procfile()["webhooks"])
        assert program == "celery"
        environment = {**self._environment, "PGAPPNAME": name, **environment}
        process = self.processes.start(name, "-c", PATIENT_CELERY, *arguments, **environment)
        process.name = name
        return process

    def start_sweeper(self) -> None:
        self.processes.sweeper(**self._environment)

    def ring(self, deliveries: Iterable[Delivery]) -> None:
        """Send the messages that tell senders of these."""
        with kombu.Connection(self.broker.url) as broker:
            for delivery in deliveries:
                send_delivery.apply_async(
                    kwargs={"delivery_id": delivery.id}, queue="webhooks", connection=broker, ignore_result=True
                )

    def messages(self) -> int:
        with self.broker.client() as client:
            return client.llen("webhooks")

    def are_listening(self) -> bool:
        """Whether anybody waits for messages."""
        with self.broker.client() as client:
            return any(each["cmd"] == "brpop" for each in client.client_list())

    def stop(self) -> None:
        self.processes.stop()


@contextlib.contextmanager
def own_senders(folder: Path) -> Iterator[Senders]:
    with own_database() as url, own_broker() as broker:
        senders = Senders(folder, url, broker)
        try:
            yield senders
        finally:
            senders.stop()


def suspend(process: subprocess.Popen) -> None:
    """Stop it, and come back when all its threads stand still: until then one of them may go on."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def kill(sender_process: subprocess.Popen) -> None:
    """End a sender as a power cut would, and wait until the database has done all that it was still told to."""
    sender_process.kill()
    sender_process.wait()
    wait_until(lambda: not _has_sessions(sender_process.name))


def _has_sessions(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = %s)", [name])
        return cursor.fetchone()[0]


def pass_leases_over() -> int:
    """Let the leases of dead senders end now; return how many there were."""
    return Delivery.objects.filter(status="sending").update(lease_expires_at=Now() - PAST, ring_at=Now() - PAST)


def pass_pauses_over() -> int:
    """Let every pause between two attempts end now; return how many there were."""
    waiting = Delivery.objects.filter(status="pending", failures__gt=0, next_attempt_at__gt=Now())
    return waiting.update(next_attempt_at=Now(), ring_at=Now())


_order = itertools.count()


def deliver_to(to: Subscription | str, team: Team | None = None, *, body: str = BODY, **more) -> Delivery:
    """A new event with a delivery that is due, for a subscription or an address; the earlier ones are due longer."""
    is_url = isinstance(to, str)
    team = team or (a_team() if is_url else to.team)
    row = {
        "subscription": None if is_url else to,
        "url": to if is_url else "",
        "receiver": to.rstrip("/").lower() if is_url else to.id,
        "next_attempt_at": Now() - dt.timedelta(hours=1) + dt.timedelta(milliseconds=next(_order)),
        "ring_at": Now() + dt.timedelta(days=1),  # no sweeper interferes
        **more,
    }
    made = Delivery.objects.create(team=team, event=new_event(team, body), **row)
    made.refresh_from_db()
    return made


def change(row: Delivery | Subscription, **fields):
    """Write columns of a row and return it anew."""
    type(row).objects.filter(pk=row.pk).update(**fields)
    row.refresh_from_db()
    return row


def make_due(delivery: Delivery) -> Delivery:
    """Let the time until the next attempt pass."""
    return change(delivery, next_attempt_at=Now() - PAST)


def end_lease(delivery: Delivery) -> Delivery:
    """Let as much time pass as if the sender had died."""
    return change(delivery, lease_expires_at=Now() - PAST)


def reload(*rows: Delivery):
    for row in rows:
        row.refresh_from_db()
    return rows[0] if len(rows) == 1 else rows


def attempts_of(delivery: Delivery) -> list[Attempt]:
    return list(delivery.attempts.order_by("claim"))


def attempt_at(delivery: Delivery) -> tuple[Delivery, Attempt]:
    """Let the worker make the attempt that is due, and return both rows as they are then."""
    work_off(delivery)
    return reload(delivery), attempts_of(delivery)[-1]


def work_off(delivery: Delivery) -> list[str]:
    """Do what a message for it does, to the end; return the ids that were rung for then."""
    rung: list[str] = []
    if calls := sender.deliver(delivery.id, ring=rung.append):
        calls.result(60)
    return rung


def failing_until_due_again(delivery: Delivery, times: int) -> None:
    """Make so many attempts, with the pauses passed over."""
    for _ in range(times):
        work_off(make_due(delivery))


def in_threads(count: int, work: Callable[[int], object]) -> list:
    """Run `work` in that many threads that start it together."""
    together = threading.Barrier(count)

    def run(number: int):
        together.wait()
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def database_time() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


@contextlib.contextmanager
def sending_with(monkeypatch, **client) -> Iterator[None]:
    """Let this process send by a client with these arguments (`lookup`, `judge`)."""
    own = Sender(**client)
    monkeypatch.setattr(sending, "sender", own)
    try:
        yield
    finally:
        own.close()


def settle(read: Callable[[], object], seconds: float = 2.0):
    """Return the value once it has stayed the same for so long."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.05)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value
