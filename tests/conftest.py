"""Real servers for every test: PostgreSQL, Redis and S3 come from `make test`, web and worker are started here.

Tests do not clean up after each other: each has teams of its own, as in production, so nothing leaks between them.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from django.db import connection
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from hypothesis import HealthCheck
from hypothesis import settings as property_settings

from accounts.models import Team
from accounts.services import create_api_key, create_team
from automette.lib.ids import new_id
from automette.stack.children import spawn
from credits.models import CreditAccount
from credits.services import open_account
from renders import statements
from renders.models import Render
from templates_app.models import TemplateVersion
from templates_app.services import create_template

ROOT = Path(__file__).resolve().parent.parent
HELLO = '#set page(width: 200pt, height: 100pt)\nHello #data.at("name", default: "World")!\n'

# The same examples in every run, and none fails because the machine stands still. For others:
# ARGS="--hypothesis-profile=default".
property_settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
property_settings.load_profile("repeatable")


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that starts us in the background has SIGINT ignored, and every process we start would inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "DATABASE_URL" not in os.environ:
        raise pytest.UsageError(
            "No servers. Run `make test`, or `python -m automette.stack exec --temporary -- pytest`."
        )


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays(tmp_path_factory):
    """Remove pytest's temporary folder, and the one above it where it is the last."""
    folder = tmp_path_factory.getbasetemp()
    yield
    shutil.rmtree(folder, ignore_errors=True)
    for link in folder.parent.glob("*current"):
        link.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another run is using it
        folder.parent.rmdir()


@pytest.fixture(scope="session")
def database(django_db_blocker):
    """The test database, open for the whole run."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        yield
        _end_other_sessions()
        teardown_databases(made, verbosity=0)


def _end_other_sessions() -> None:
    """PostgreSQL drops no database in use, and a thread that has ended may leave its session to the collector."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class Api:
    """A team, its key, and an HTTP client that sends it; `post` takes a JSON value."""

    def __init__(self, team: Team, key: str, base: str | None = None) -> None:
        self.team, self.key, self.base = team, key, base
        self._client = Client(raise_request_exception=False)

    def _headers(self, extra):
        return {"Authorization": f"Bearer {self.key}", **(extra or {})}

    def get(self, path, headers=None, **params):
        return self._client.get(path, params, headers=self._headers(headers))

    def post(self, path, body=None, headers=None):
        return self._client.post(path, body, content_type="application/json", headers=self._headers(headers))

    def send(self, method, path, body=b"", content_type="application/json", headers=None):
        """Send these bytes as they are; without a body there is no content type either."""
        return self._client.generic(method, path, body, content_type, headers=self._headers(headers))

    def template(self, source=HELLO, name="Hello", engine="typst", **more) -> str:
        """Make a template without a worker, which the API asks to try the source out."""
        return create_template(team=self.team, actor="test", name=name, engine=engine, source=source, **more).id

    def render(self, template_id, **more):
        """Render through the running stack and return the answer's status and body."""
        answer = self.post("/api/v1/renders", {"template_id": template_id, "async": False, **more})
        return answer.status_code, answer.json()

    def credits(self) -> int:
        return self.get("/api/v1/credits").json()["credit_balance"]


@pytest.fixture
def new_api(database) -> Callable[..., Api]:
    """Make a team with credits and a key."""

    def make(credits=100, overage=0, name="A team") -> Api:
        team = create_team(name=name, actor="test")
        open_account(team=team, monthly_credits=credits, overage_limit=overage, actor="test")
        _, key = create_api_key(team=team, actor="test")
        return Api(team, key)

    return make


@pytest.fixture
def api(new_api) -> Api:
    return new_api()


@pytest.fixture
def other_api(new_api) -> Api:
    return new_api(name="Another team")


@pytest.fixture
def nothing_changes(database):
    """A context at whose end the teams must have the same templates, files, renders, jobs and credits as before."""

    @contextlib.contextmanager
    def watch(*apis: Api) -> Iterator[None]:
        before = [_footprint(api.team) for api in apis]
        yield
        assert [_footprint(api.team) for api in apis] == before

    return watch


def _footprint(team: Team) -> tuple:
    counted = (team.templates, team.renders, team.jobs, team.ledger_entries, team.projects, team.assets, team.fonts)
    counted += (team.webhook_subscriptions, team.url_bases)
    versions = TemplateVersion.objects.filter(template__team=team)
    return CreditAccount.objects.get(team=team).credit_balance, *(rows.count() for rows in (*counted, versions))


@pytest.fixture
def accept(database):
    """Put a render in the database as a request does, on a queue that no worker serves: it stays pending."""

    def make(api: Api, template_id: str, **more) -> Render:
        template = api.team.templates.get(pk=template_id)
        row = {"format": "pdf", "visibility": "public", "data": "{}", "filename": "x.pdf", "queue": "nobody", **more}
        render = Render(
            id=new_id(),
            team=api.team,
            job_id=new_id(),
            template=template,
            template_version=template.current_version,
            template_name=template.name,
            engine=template.engine,
            **row,
        )
        assert statements.accept(render, source="api", actor="test")
        return Render.objects.get(pk=render.pk)

    return make


_kept_ports: list[socket.socket] = []


def free_port() -> int:
    """Return a port where nobody listens, and which the kernel gives to nobody else while the tests run.

    The socket that keeps it never listens, so callers are refused; a server that is told this port, and allows the
    reuse of addresses as servers do, may listen there all the same.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept_ports.append(keeper)
    return keeper.getsockname()[1]


class Processes:
    """The application's own processes, run as in production against the test database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []

    def start(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen:
        log = self.folder / f"{name}.log"
        process = spawn(
            [sys.executable, *arguments],
            environment={**os.environ, "AUTOMETTE_DATA": str(self.folder), **environment},
            death_signal=signal.SIGKILL,
            log=log,
            working_directory=ROOT,
        )
        process.log = log
        self.running.append(process)
        return process

    def worker(self, name="worker", queues="interactive,async,docx,bulk", **environment):
        arguments = ["-m", "celery", "-A", "automette", "worker", "--pool", "threads", "--concurrency", "4"]
        flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        return self.start(name, *arguments, "-Q", queues, *flags, "-n", f"{name}@%h", **environment)

    def sweeper(self, **environment):
        return self.start("sweeper", "manage.py", "sweep", **environment)

    def web(self, *program: str, **environment) -> str:
        port = str(free_port())
        base = f"http://127.0.0.1:{port}"
        environment = {"PUBLIC_URL": base, "CDN_BASE_URL": base, "PORT": port, **environment}
        program = program or ("-m", "gunicorn")
        self.start("web", *program, "-c", "automette/gunicorn.py", "automette.wsgi", **environment)
        return base

    def stop(self, process=None):
        for one in [process] if process else self.running:
            if one.poll() is None:
                one.terminate()
        for one in [process] if process else self.running:
            try:
                one.wait(15)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


def wait_until(condition: Callable[[], object], seconds: float = 60, every: float = 0.05):
    """Return the first truthy value of the condition; fail when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    pytest.fail(f"not true within {seconds} s: {condition}")


@pytest.fixture(scope="session")
def test_environment(database):
    """Point processes that tests start at the test database instead of the stack's own."""
    url = os.environ["DATABASE_URL"]
    name = connection.settings_dict["NAME"]
    head, _, query = url.partition("?")
    os.environ["DATABASE_URL"] = f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    yield
    os.environ["DATABASE_URL"] = url


@pytest.fixture
def processes(test_environment, tmp_path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def server(test_environment, tmp_path_factory) -> Iterator[str]:
    """The whole application: the base URL of a web process, with a worker and a sweeper behind it."""
    started = Processes(tmp_path_factory.mktemp("server"))
    try:
        base = started.web()
        started.worker()
        started.sweeper()
        wait_until(lambda: is_ready(base), 100)
        yield base
    except pytest.fail.Exception:
        print(*(f"--- {one.log}\n{one.log.read_text()[-3000:]}" for one in started.running), sep="\n")
        raise
    finally:
        started.stop()


def is_ready(base: str) -> bool:
    try:
        return requests.get(f"{base}/readyz", timeout=30).status_code == 200
    except requests.RequestException:
        return False
