"""What it costs to change teams between renders. A child has one team for life, so this is forking and warming up."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.documents import ENGINES, engine_pool, render_job
from bench.measurements import spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measurements import Say
    from workers.pool import EnginePool

_RENDERS = {"typst": 40, "canvas": 24, "docx": 24}
_NEW_TEAMS = 10
_CHILDREN = 2  # as many again are kept idle for their teams
_MANY_TEAMS = 4
_READY = 3
"""A new spare is left alone for this many times as long as a team without one has waited."""


@dataclass
class _Clock:
    """Times renders in one pool; every one has a number of its own."""

    engine: str
    pool: EnginePool
    number: int

    def render(self, team: str) -> float:
        """Milliseconds of one render."""
        self.number += 1
        job = render_job(self.engine, self.number)
        begin = time.perf_counter()
        self.pool.render(team, job)
        return 1000 * (time.perf_counter() - begin)

    def in_turns(self, teams: int, count: int) -> list[float]:
        """Render for so many teams in turns, after one round that is not counted."""
        names = [f"turn {place}" for place in range(teams)]
        for name in names:
            self.render(name)
        return [self.render(names[place % teams]) for place in range(count)]


def measure_teams(say: Say) -> dict[str, Any]:
    """For each engine: milliseconds of a render for a team that has been there, and for one that has not."""
    return {engine: _measure(engine, 40_000_000 + 1_000_000 * place, say) for place, engine in enumerate(ENGINES)}


def _measure(engine: str, number: int, say: Say) -> dict[str, Any]:
    count = _RENDERS[engine]
    say(f"{engine}: new teams without a spare child")
    with _started(engine, number, children=_CHILDREN, spares=0) as clock:
        without = [clock.render(f"new {place}") for place in range(_NEW_TEAMS)]
    pause = _READY * statistics.median(without) / 1000
    with _started(engine, number + 100_000, children=_CHILDREN, spares=1) as clock:
        say(f"{engine}: new teams with a spare child")
        with_spare = []
        for place in range(_NEW_TEAMS):
            time.sleep(pause)
            with_spare.append(clock.render(f"new {place}"))
        say(f"{engine}: the same team, two in turns, {_MANY_TEAMS} in turns")
        same, two, many = [], [], []
        for _ in range(2):
            same += clock.in_turns(1, count // 2)
            two += clock.in_turns(2, count // 2)
            many += clock.in_turns(_MANY_TEAMS, count // 2)
        counts = clock.pool.status()["counts"]
    return {
        "same_team_ms": spread(same),
        "two_teams_ms": spread(two),
        "new_team_with_spare_ms": spread(with_spare),
        "new_team_without_spare_ms": spread(without),
        "many_teams_ms": spread(many),
        "change_ms": statistics.median(many) - statistics.median(same),
        "evicted": counts.get("evicted", 0),
        "many_renders": len(many) + 2 * _MANY_TEAMS,
    }


@contextlib.contextmanager
def _started(engine: str, number: int, *, children: int, spares: int) -> Iterator[_Clock]:
    pool = engine_pool(engine, children=children, spares=spares)
    pool.start()
    try:
        yield _Clock(engine, pool, number)
    finally:
        pool.close()
