"""Lists with a million renders in the table against the same lists with a thousand.

Two databases with the same teams, keys and templates, one web process for each, asked in turns. The small one is the
large one before it grew, so what is asked for lies at the same place of both.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from automette.stack.procfile import PROJECT
from bench.application import environment_of, free_port, migrate, running
from bench.load import Connection, Target
from bench.measurements import percentile, spread
from bench.scale_rows import FEW, Cast, add_renders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measurements import Say

MANY = 1_000_000
_SMALL, _LARGE = "bench_small", "bench_large"
_FAR_PAGE = {_SMALL: 25, _LARGE: 1000}
_WARM_UP = 40  # a statement is prepared after two uses, and planned for good after five more
_ROUNDS, _PER_ROUND = 10, 20


class _Reader:
    """Asks one of the two applications, as the big team and as the small one."""

    def __init__(self, port: int, cast: Cast) -> None:
        self._as_team = {
            "big": Connection(Target(port, cast.big_key, {})),
            "small": Connection(Target(port, cast.small_key, {})),
        }

    def exists(self, path: str) -> bool:
        return self._as_team["big"].get(path)[0] != 404

    def walk(self, page: int) -> dict[str, Any]:
        """Follow the cursor to this page of the big team's list; the page, and the cursor that led there."""
        cursor = ""
        for _ in range(page - 1):
            cursor = self._page(cursor)["next_cursor"]
        return {**self._page(cursor), "cursor": cursor}

    def _page(self, cursor: str) -> dict[str, Any]:
        status, body = self._as_team["big"].get("/api/v1/renders" + (f"?cursor={cursor}" if cursor else ""))
        if status != 200:
            raise RuntimeError(f"a page of renders was answered with {status}")
        return json.loads(body)

    def timed(self, team: str, path: str) -> float:
        """Milliseconds of one request."""
        begin = time.perf_counter()
        status, _ = self._as_team[team].get(path)
        milliseconds = 1000 * (time.perf_counter() - begin)
        if status != 200:
            raise RuntimeError(f"{path} was answered with {status}")
        return milliseconds


def measure_scale(say: Say) -> dict[str, Any]:
    """Milliseconds of each list with few and with many renders in the table, and their ratio."""
    begin = time.monotonic()
    with _databases(say) as (cast, urls):
        loaded_seconds = time.monotonic() - begin
        with contextlib.ExitStack() as stack:
            say("starting a web process for each")
            readers = {name: stack.enter_context(_web(url, cast)) for name, url in urls.items()}
            say(f"walking to page {_FAR_PAGE[_LARGE]}")
            far = {name: reader.walk(_FAR_PAGE[name]) for name, reader in readers.items()}
            asked = _requests(cast, far, has_jobs=readers[_LARGE].exists("/api/v1/jobs"))
            found = {name: _in_turns(name, team, paths, readers, say) for name, team, paths in asked}
    return {"few": FEW, "many": MANY, "loaded_seconds": loaded_seconds, "requests": found}


def _requests(
    cast: Cast, far: dict[str, dict[str, Any]], *, has_jobs: bool
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What is asked, by which team, and the path for each database."""
    renders = "/api/v1/renders"
    common, rare = cast.common_templates[0], cast.rare_template

    def same(path: str) -> dict[str, str]:
        return {_SMALL: path, _LARGE: path}

    yield "first page", "big", same(renders)
    pages = {name: f"{renders}?cursor={page['cursor']}" for name, page in far.items()}
    yield f"page 1,000 (few: page {_FAR_PAGE[_SMALL]})", "big", pages
    yield "status=failed, 1 of 20", "big", same(f"{renders}?status=failed")
    yield "status=running, the 20 oldest", "big", same(f"{renders}?status=running")
    yield "template_id=, 1 of 3", "big", same(f"{renders}?template_id={common}")
    yield "template_id=, 25 of the oldest", "big", same(f"{renders}?template_id={rare}")
    yield "status=running&template_id=", "big", same(f"{renders}?status=running&template_id={common}")
    yield "first page of a team with 40 renders", "small", same(renders)
    yield "one render", "big", {name: f"{renders}/{page['renders'][9]['id']}" for name, page in far.items()}
    if has_jobs:
        yield "jobs, first page", "big", same("/api/v1/jobs")
        yield "jobs of a team with 40, first page", "small", same("/api/v1/jobs")
    yield "ledger, first page", "big", same("/api/v1/credits/ledger")


def _in_turns(name: str, team: str, paths: dict[str, str], readers: dict[str, _Reader], say: Say) -> dict[str, Any]:
    say(f"{name}: {FEW:,} and {MANY:,} renders in turns")
    for _ in range(_WARM_UP):
        for database, reader in readers.items():
            reader.timed(team, paths[database])
    seen: dict[str, list[float]] = {_SMALL: [], _LARGE: []}
    ratios = []
    for _ in range(_ROUNDS):
        walls: dict[str, list[float]] = {_SMALL: [], _LARGE: []}
        for _ in range(_PER_ROUND):
            for database, reader in readers.items():
                walls[database].append(reader.timed(team, paths[database]))
        ratios.append(statistics.median(walls[_LARGE]) / statistics.median(walls[_SMALL]))
        for database, values in walls.items():
            seen[database] += values
    return {
        "ratio": spread(ratios),
        "few_ms": {f"p{percent}": percentile(seen[_SMALL], percent) for percent in (50, 95)},
        "many_ms": {f"p{percent}": percentile(seen[_LARGE], percent) for percent in (50, 95)},
    }


@contextlib.contextmanager
def _web(url: str, cast: Cast) -> Iterator[_Reader]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="automette-bench-") as folder:
        environment = environment_of(port, Path(folder)) | {"DATABASE_URL": url}
        with running(["web"], environment, Path(folder), path="/livez"):
            yield _Reader(port, cast)


@contextlib.contextmanager
def _databases(say: Say) -> Iterator[tuple[Cast, dict[str, str]]]:
    """Make both databases beside the one of DATABASE_URL; they are removed at the end."""
    base = os.environ["DATABASE_URL"]
    urls = {name: _neighbour(base, name) for name in (_SMALL, _LARGE)}
    with psycopg.connect(base, autocommit=True) as connection:

        def run(statement: str) -> None:
            names = {"small": sql.Identifier(_SMALL), "large": sql.Identifier(_LARGE)}
            connection.execute(sql.SQL(statement).format(**names))

        run("CREATE DATABASE {small}")
        try:
            cast = _fill(urls[_SMALL], say)
            run("CREATE DATABASE {large} TEMPLATE {small}")
            add_renders(urls[_LARGE], cast, FEW + 1, MANY, say)
            yield cast, urls
        finally:
            run("DROP DATABASE IF EXISTS {large} WITH (FORCE)")
            run("DROP DATABASE {small} WITH (FORCE)")


def _fill(url: str, say: Say) -> Cast:
    say(f"making teams and {FEW:,} renders")
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "automette.settings"}
    migrate(environment)
    made = subprocess.run(
        [sys.executable, "-m", "bench.scale_rows", url],
        cwd=PROJECT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Cast(**json.loads(made.stdout))


def _neighbour(url: str, name: str) -> str:
    """The same server's database of another name."""
    address, question, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{question}{options}"
