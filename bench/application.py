"""The application as in production, from the Procfile: web, worker and sweeper on a migrated database, and a team.

The team has one template for each engine (`bench/documents.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automette.stack.children import spawn, stop_all
from automette.stack.procfile import PROJECT, read_procfile, shell
from bench.documents import starter
from bench.invoice import SOURCE
from bench.load import ONLY_TYPST, LoadGenerator, Target
from bench.usage import find_servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STARTED = ("web", "worker", "sweeper")
_CREDITS = 1_000_000_000
_READY_SECONDS = 60
_LADDER = ((signal.SIGTERM, 10.0),)


class Application:
    """A running application with one team; everything a measurement asks of it."""

    def __init__(self, target: Target, roots: dict[int, str], zygotes: dict[int, str], team_id: str) -> None:
        self.target = target
        self.roots = roots
        self.zygotes = zygotes
        self._team_id = team_id
        self._number = 0
        self.load = LoadGenerator(target)
        roots[self.load.process.pid] = "load"

    @property
    def worker_pid(self) -> int:
        return next(pid for pid, name in self.roots.items() if name == "worker")

    def numbers(self, count: int) -> int:
        """Reserve so many invoice numbers, which no other render has; the first of them."""
        first = self._number + 1
        self._number += count
        return first

    def run_async(
        self, count: int, *, mix: Sequence[str] = ONLY_TYPST, deadline_seconds: float = 120
    ) -> dict[str, float]:
        """Post renders and wait until all are completed; seconds from the first acceptance to the last file.

        The engines of `mix` take turns. Both times are the database's. Raises RuntimeError when one failed or the
        time is over.
        """
        begin = self._rows("SELECT statement_timestamp()")[0][0]
        self.load.post(self.numbers(count), count, mix=mix)
        deadline = time.monotonic() + deadline_seconds
        while self._rows("SELECT EXISTS (SELECT FROM renders_render WHERE status IN ('pending', 'running'))")[0][0]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"renders are still open after {deadline_seconds:g} s")
            time.sleep(0.1)
        statement = """
            SELECT count(*) FILTER (WHERE status = 'completed'), max(attempt),
                extract(epoch FROM max(finished_at) - min(created_at))::float8
            FROM renders_render WHERE team_id = %s AND created_at >= %s
        """
        completed, attempts, seconds = self._rows(statement, self._team_id, begin)[0]
        if completed != count:
            raise RuntimeError(f"{completed} of {count} renders were completed")
        return {"count": count, "seconds": seconds, "most_attempts": attempts}

    def open_renders(self) -> int:
        """How many renders wait or run."""
        return self._rows("SELECT count(*) FROM renders_render WHERE status IN ('pending', 'running')")[0][0]

    def connections(self, name: str) -> int:
        """How many connections to the database a process has."""
        return self._rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", name)[0][0]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        from django.db import connection  # noqa: PLC0415 - after django.setup

        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()


@contextlib.contextmanager
def application(folder: Path, changed: Mapping[str, str] | None = None) -> Iterator[Application]:
    """Migrate, start everything, wait until `/readyz` says yes; stop everything at the end.

    `changed` are settings that differ from the defaults. Raises RuntimeError, with the ends of the logs, when it does
    not come up.
    """
    port = free_port()
    environment = environment_of(port, folder) | dict(changed or {})
    migrate(environment)
    team_id, key, template_ids = _make_team()
    with running(STARTED, environment, folder, path="/readyz") as pids:
        app = Application(Target(port, key, template_ids), pids | find_servers(), _find_zygotes(), team_id)
        try:
            yield app
        finally:
            app.load.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment_of(port: int, folder: Path) -> dict[str, str]:
    """The environment of an application that listens on this port and keeps its files in this folder."""
    base = f"http://127.0.0.1:{port}"
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "PUBLIC_URL": base,
        "CDN_BASE_URL": base,
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "AUTOMETTE_DATA": str(folder),
        "RATE_LIMIT_PER_MINUTE": "100000000",  # counted as in production, never reached
    }


def migrate(environment: Mapping[str, str]) -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "-v", "0"], cwd=PROJECT, env=environment, check=True)


@contextlib.contextmanager
def running(
    names: Sequence[str], environment: Mapping[str, str], folder: Path, *, path: str
) -> Iterator[dict[int, str]]:
    """Start processes of the Procfile and yield their names by pid once `path` answers; stop them at the end.

    PostgreSQL knows their connections by the same names. `worker-2` is another `worker`.
    """
    commands = {name: _command(name) for name in names}
    logs = {name: folder / f"{name}.log" for name in names}
    started = {
        name: spawn(
            shell(commands[name]),
            environment={**environment, "PGAPPNAME": name},
            death_signal=signal.SIGKILL,
            log=logs[name],
            working_directory=PROJECT,
        )
        for name in names
    }
    try:
        _wait_until_ready(f"{environment['PUBLIC_URL']}{path}", logs)
        yield {process.pid: name for name, process in started.items()}
    finally:
        stop_all([(process, _LADDER) for process in started.values()])


def _command(name: str) -> str:
    kind = name.partition("-")[0]
    return read_procfile()[kind].replace(f"-n {kind}@", f"-n {name}@")


def _make_team() -> tuple[str, str, dict[str, str]]:
    import django  # noqa: PLC0415 - the settings are read here, once the servers are known

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
    django.setup()
    from accounts.services import create_api_key, create_team  # noqa: PLC0415
    from credits.services import open_account  # noqa: PLC0415
    from templates_app.services import create_template, create_trusted_docx_template  # noqa: PLC0415

    team = create_team(name="Bench", actor="bench")
    open_account(team=team, monthly_credits=_CREDITS, actor="bench")
    _, key = create_api_key(team=team, actor="bench")
    card, quote = starter("canvas"), starter("docx")
    owner = {"team": team, "actor": "bench"}
    templates = {
        "typst": create_template(**owner, name="Invoice", engine="typst", source=SOURCE),
        "canvas": create_template(**owner, name=card.name, engine="canvas", source=card.source),
        "docx": create_trusted_docx_template(**owner, name=quote.name, content=quote.source, fields=quote.fields),
    }
    return team.id, key, {engine: template.id for engine, template in templates.items()}


def _find_zygotes() -> dict[int, str]:
    """The engine of each zygote, by its process id, as the worker reports them. It has, or `/readyz` would say no."""
    from automette.lib import worker_status  # noqa: PLC0415 - after django.setup

    reports = worker_status.workers().values()
    return {one["zygote_pid"]: name for report in reports for name, one in report["engines"].items()}


def _wait_until_ready(url: str, logs: dict[str, Path]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    ends = "\n".join(f"--- {name}\n{log.read_text()[-2000:]}" for name, log in logs.items())
    raise RuntimeError(f"The application did not come up in {_READY_SECONDS} s.\n{ends}")
