"""Calls that wait for their documents: what 200 of them cost the others, and the database.

The worker is stopped (SIGSTOP) while they wait, so the documents take eight seconds and no CPU: the cores are left
to what is measured, which is the web process with a thread for each caller. Then the worker goes on, and every
caller must get its document.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.application import application
from bench.load import Connection
from bench.measurements import percentile, spread

if TYPE_CHECKING:
    from bench.application import Application
    from bench.measurements import Say

WAITERS = 200
_SECONDS = 8.0
_ROUNDS = 5
_IDLE_SECONDS = 4.0
_WARM_UP = 200
_PAUSE = 0.005  # one client with a rest between its requests


def measure_waiting(say: Say) -> dict[str, Any]:
    """p95 of a cheap request while nobody waits and while many do, and the connections that the web process holds."""
    changed = {"SYNC_WAITERS_PER_TEAM": "0"}  # no limit: one team waits with all of them
    say("starting web, worker and sweeper")
    with (
        tempfile.TemporaryDirectory(prefix="automette-bench-") as folder,
        application(Path(folder), changed) as app,
    ):
        reader = Connection(app.target)
        callers = [Connection(app.target) for _ in range(WAITERS)]
        for _ in range(_WARM_UP):
            _timed(reader)
        for caller in callers[:20]:
            caller.render(app.numbers(1), wait=True)
        rounds = []
        for turn in range(_ROUNDS):
            say(f"{WAITERS} sync renders wait, round {turn + 1} of {_ROUNDS}")
            rounds.append(_round(app, reader, callers))
    return {
        "waiters": WAITERS,
        "idle_p50_ms": spread([percentile(one["idle"], 50) for one in rounds]),
        "idle_p95_ms": spread([percentile(one["idle"], 95) for one in rounds]),
        "waiting_p50_ms": spread([percentile(one["waiting"], 50) for one in rounds]),
        "waiting_p95_ms": spread([percentile(one["waiting"], 95) for one in rounds]),
        "ratio": spread([percentile(one["waiting"], 95) / percentile(one["idle"], 95) for one in rounds]),
        "connections": max(one["connections"] for one in rounds),
        "answered": [one["answered"] for one in rounds],
        "answers_seconds": spread([one["seconds"] for one in rounds]),
    }


def _round(app: Application, reader: Connection, callers: list[Connection]) -> dict[str, Any]:
    idle = _read(reader, time.monotonic() + _IDLE_SECONDS)
    statuses: list[int] = []
    seconds: list[float] = []
    first = app.numbers(len(callers))

    def call(caller: Connection, number: int) -> None:
        begin = time.monotonic()
        statuses.append(caller.render(number, wait=True))
        seconds.append(time.monotonic() - begin)

    threads = [threading.Thread(target=call, args=(caller, first + place)) for place, caller in enumerate(callers)]
    with _Watch(app) as watch:
        os.kill(app.worker_pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            for thread in threads:
                thread.start()
            while app.open_renders() < len(callers):
                time.sleep(0.1)
            waiting = _read(reader, begin + _SECONDS)
        finally:
            os.kill(app.worker_pid, signal.SIGCONT)
        for thread in threads:
            thread.join()
    return {
        "idle": idle,
        "waiting": waiting,
        "connections": watch.most,
        "answered": {str(status): statuses.count(status) for status in sorted(set(statuses))},
        "seconds": max(seconds),
    }


class _Watch:
    """Looks ten times a second how many connections to the database the web process has."""

    def __init__(self, app: Application) -> None:
        self.most = 0
        self._app = app
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self._app.connections("web"))


def _read(reader: Connection, until: float) -> list[float]:
    walls = []
    while time.monotonic() < until:
        walls.append(_timed(reader))
        time.sleep(_PAUSE)
    return walls


def _timed(reader: Connection) -> float:
    begin = time.perf_counter()
    status, _ = reader.get("/api/v1/templates")
    if status != 200:
        raise RuntimeError(f"the list of templates was answered with {status}")
    return 1000 * (time.perf_counter() - begin)
