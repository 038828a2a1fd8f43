"""An installation to break: a database, a Redis, web, sweeper and workers that no other test uses.

The session's own sweeper and worker would repair what these tests break, so nothing is shared with them but the
store. The store can be reached through a gate that holds requests or answers back.
"""

import contextlib
import datetime as dt
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import boto3
import redis
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now

from accounts.services import create_api_key, create_team
from automette.stack.data_directory import open_data_directory
from automette.stack.redis_server import RedisServer
from credits.services import open_account
from renders.models import Render
from tests.conftest import HELLO, Api, Processes, wait_until

LEASE_SECONDS = 12
"""Of workers that are to be overtaken. It is renewed every third of it, so a machine may stand still for seconds."""


@contextlib.contextmanager
def own_database() -> Iterator[str]:
    """Let this process work in a fresh database; gives its URL."""
    kept, name = connection.settings_dict["NAME"], f"faults_{secrets.token_hex(4)}"
    head, question_mark, query = os.environ["DATABASE_URL"].partition("?")
    _execute(f'CREATE DATABASE "{name}"')
    _use_database(name)
    try:
        call_command("migrate", verbosity=0)
        yield f"{head.rpartition('/')[0]}/{name}{question_mark}{query}"
    finally:
        _use_database(kept)
        _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _use_database(name: str) -> None:
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = name


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


class Broker:
    """A Redis that forgets everything when it is killed."""

    def __init__(self, data) -> None:
        self._server, self._folder = RedisServer(data), data.path / "redis"
        self._keeps_port = socket.socket()
        self.start()
        self.url = self._server.environment()["REDIS_URL"]

    @property
    def pid(self) -> int:
        return self._server.process.pid

    def start(self) -> None:
        """Start it; after a kill on the same port."""
        for _ in self._server.start():
            time.sleep(0.01)
        self._keeps_port.close()

    def kill(self) -> None:
        self._server.process.kill()
        self._server.process.wait()
        shutil.rmtree(self._folder)
        self._keeps_port.close()
        # Nobody else is given the port meanwhile. Who connects is refused, and Redis itself may bind it beside this.
        self._keeps_port = socket.socket()
        self._keeps_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeps_port.bind(("127.0.0.1", urlsplit(self.url).port))

    def end(self) -> None:
        self.kill()
        self._keeps_port.close()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=60)


@contextlib.contextmanager
def own_broker() -> Iterator[Broker]:
    with open_data_directory(None, wait=time.sleep) as data:
        broker = Broker(data)
        try:
            yield broker
        finally:
            broker.end()


class StoreGate:
    """A TCP relay before the store or another server, which holds requests or answers back, or turns callers away."""

    def __init__(self, url: str | None = None) -> None:
        store = urlsplit(url or os.environ["S3_ENDPOINT_URL"])
        self._store = (store.hostname, store.port)
        self.requests_pass, self.answers_pass = threading.Event(), threading.Event()
        self.closed, self.held, self.answers = False, 0, []
        self.open()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._serve)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def open(self) -> None:
        self.closed = False
        self.requests_pass.set()
        self.answers_pass.set()

    def hold(self) -> None:
        """Let no request reach the store."""
        self.held, self.answers = 0, []
        self.requests_pass.clear()

    def hold_answers(self) -> None:
        """Let no answer reach the caller."""
        self.answers_pass.clear()

    def lose_answers(self) -> None:
        """Hang up on the callers; what was held for them is lost."""
        self.closed = True
        self.answers_pass.set()

    def end(self) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, caller: socket.socket, _address, _server) -> None:
        if self.closed:
            return
        with caller, socket.create_connection(self._store) as store:
            back = threading.Thread(target=self._relay, args=(store, caller, self.answers_pass), daemon=True)
            back.start()
            self._relay(caller, store, self.requests_pass)
            back.join()

    def _relay(self, source: socket.socket, target: socket.socket, passing: threading.Event) -> None:
        with contextlib.suppress(OSError):  # either side has hung up: so does this one
            while (chunk := source.recv(1 << 16)) and not self.closed:
                if passing is self.requests_pass:
                    chunk += _rest_of_request(chunk, source)  # held is what can go on without its caller
                elif chunk.startswith(b"HTTP/1.1 "):
                    self.answers.append(int(chunk[9:12]))
                self.held += not passing.is_set()
                passing.wait()
                if self.closed:
                    break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _rest_of_request(begun: bytes, source: socket.socket) -> bytes:
    """Read what is still to come of a request, whose length is in its head."""
    rest = b""
    while True:
        head, blank_line, body = (begun + rest).partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if blank_line and len(body) >= (int(length[1]) if length else 0):
            return rest
        chunk = source.recv(1 << 16)
        if not chunk:
            return rest
        rest += chunk


@contextlib.contextmanager
def store_gate(url: str | None = None) -> Iterator[StoreGate]:
    gate = StoreGate(url)
    try:
        yield gate
    finally:
        gate.end()


@functools.cache
def _s3():
    return boto3.client(
        "s3",
        endpoint_url=os.environ["S3_ENDPOINT_URL"],
        region_name=os.environ["S3_REGION"],
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


class StoredObject(NamedTuple):
    sha256: str
    modified_at: object


def stored(key: str) -> StoredObject | None:
    """What lies in the store under that name, read past the gate."""
    try:
        answer = _s3().get_object(Bucket=os.environ["S3_BUCKET"], Key=key)
    except ClientError:
        return None
    return StoredObject(hashlib.sha256(answer["Body"].read()).hexdigest(), answer["LastModified"])


class ProcessId(NamedTuple):
    """A process that cannot be mistaken for another which got its number later."""

    pid: int
    started: str


def descendants(pid: int) -> list[ProcessId]:
    """Every process below this one, parents before children."""
    children = _children()
    found = list(children.get(pid, []))
    for one in found:
        found += children.get(one.pid, [])
    return found


def _children() -> dict[int, list[ProcessId]]:
    """The children of every process."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(ProcessId(int(path.parent.name), fields[19]))
    return children


def is_alive(process: ProcessId) -> bool:
    """Whether it still runs; one whose status nobody has read yet does not."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == process.started and fields[0] != "Z"


@contextlib.contextmanager
def frozen_engine(worker: subprocess.Popen) -> Iterator[None]:
    """Suspend the engine children of a worker: a render that it claims now stays running.

    Of a team for which this worker has rendered before: its child is kept for it, while others may get a new one.
    """
    zygotes = _children()[worker.pid]
    children = [child.pid for zygote in zygotes for child in descendants(zygote.pid)]
    assert children
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _report_of(worker: subprocess.Popen) -> str:
    """Where Redis has what a worker reports every five seconds."""
    return f"automette:worker:{socket.gethostname()}:{worker.pid}"


class Installation:
    """Web, sweeper and workers on a database and a Redis of their own."""

    def __init__(self, folder: Path, database_url: str, broker: Broker, **environment: str) -> None:
        self.broker, self.base = broker, ""
        self.processes = Processes(folder)
        self._environment = {"DATABASE_URL": database_url, "REDIS_URL": broker.url, **environment}
        self._workers, self._sweeper = [], None

    def web(self) -> None:
        self.base = self.processes.web(**self._environment)
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        try:
            return requests.get(f"{self.base}/livez", timeout=2).ok
        except requests.RequestException:
            return False

    def sweeper(self) -> None:
        self._sweeper = self.processes.sweeper(**self._environment)

    @contextlib.contextmanager
    def suspended_sweeper(self) -> Iterator[None]:
        """Let nobody be rung for who was not rung for when he asked."""
        os.kill(self._sweeper.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._sweeper.pid, signal.SIGCONT)

    def worker(self, *, wait: bool = True, **environment: str) -> subprocess.Popen:
        """Start a worker; `wait` until its engine is ready."""
        worker = self.processes.worker(f"worker-{len(self._workers)}", **{**self._environment, **environment})
        self._workers.append(worker)
        if wait:
            wait_until(lambda: self.engine(worker), 60)
        return worker

    def engine(self, worker: subprocess.Popen) -> dict | None:
        """What a worker last reported of its Typst engine."""
        with self.broker.client() as client:
            report = client.get(_report_of(worker))
        return json.loads(report)["engines"]["typst"] if report else None

    def engine_at_work(self, worker: subprocess.Popen) -> dict:
        """Wait until a render is in the hands of an engine child; gives what the worker reports of its engine."""
        with self.broker.client() as client:
            client.delete(_report_of(worker))  # it may tell of the render before
        return wait_until(lambda: (engine := self.engine(worker)) and engine["working"] == 1 and engine)

    def a_worker(self) -> subprocess.Popen:
        """One that lives, started if need be."""
        return next((one for one in self._workers if one.poll() is None), None) or self.worker()

    def kill(self, worker: subprocess.Popen) -> list[ProcessId]:
        """End a worker as a power cut would; gives what was below it."""
        below = descendants(worker.pid)
        worker.kill()
        worker.wait()
        return below

    def team(self, credits: int = 1000, source: str = HELLO) -> "Caller":
        team = create_team(name="A team", actor="test")
        open_account(team=team, monthly_credits=credits, actor="test")
        _, key = create_api_key(team=team, actor="test")
        template_id = Api(team, key).template(source)
        return Caller(team.id, template_id, self.base, key)

    def stop(self) -> None:
        self.processes.stop()


class Caller:
    """A team with a template, talking HTTP to the installation. For one thread."""

    def __init__(self, team_id: str, template_id: str, base: str, key: str) -> None:
        self.team_id, self.template_id, self.base = team_id, template_id, base
        self._key, self._session = key, requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def fresh(self) -> "Caller":
        """The same, for another thread."""
        return Caller(self.team_id, self.template_id, self.base, self._key)

    def ask(self, **more) -> str:
        """Ask for an async render; the id of what was accepted."""
        body = {"template_id": self.template_id, "async": True, **more}
        answer = self._session.post(f"{self.base}/api/v1/renders", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]


def row(render_id: str) -> Render:
    return Render.objects.get(pk=render_id)


def lapse(*render_ids: str) -> None:
    """Let the leases of a worker that is gone be over at once."""
    past = Now() - dt.timedelta(seconds=1)
    Render.objects.filter(pk__in=render_ids, status="running").update(lease_expires_at=past, ring_at=past)


def has_status(render_id: str, status: str) -> bool:
    return row(render_id).status == status
