"""The measurements. Each runs what it compares in turns (A B A B ...), so that a busy moment hits both sides."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from bench.bare import BareCompiler, run_both
from bench.documents import fonts
from bench.invoice import SOURCE, invoice_json
from bench.load import ONLY_TYPST, Connection
from bench.usage import GROUPS, cpu_seconds, private_megabytes
from workers.job import RenderJob
from workers.pool import EnginePool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.application import Application

    Say = Callable[[str], None]

_ENGINE_ROUNDS, _PER_ROUND = 10, 40
_NEW_TEAMS = 12
_SYNC_ROUNDS, _SYNC_PER_ROUND = 8, 25
_ASYNC_ROUNDS, _ASYNC_COUNT, _ASYNC_WARM_UP = 3, 400, 150
_BARE_SECONDS = 1.5
_SPARE_SECONDS = 0.3
_BATCH = 250
_MIXED_COUNTS = (200, 2000)
_MIX = ("typst", "canvas", "typst", "typst", "canvas", "typst", "docx", "typst", "canvas", "typst")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the smallest, the middle and the largest value."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of all do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def measure_bare(bare: list[BareCompiler], say: Say) -> dict[str, Any]:
    """The unit: the compile alone, in one process and in two at once."""
    one, two = [], []
    for turn in range(3):
        say(f"bare compile, round {turn + 1} of 3")
        one.append(bare[0].run(seconds=_BARE_SECONDS))
        two.append(run_both(bare, _BARE_SECONDS))
    walls = [1000 * wall for answer in one for wall in answer["walls"]]
    return {
        "wall_ms": {"p50": percentile(walls, 50), "p95": percentile(walls, 95)},
        "one_process_per_second": spread([len(answer["walls"]) / answer["seconds"] for answer in one]),
        "one_process_cpu_ms": spread([1000 * answer["cpu_seconds"] / len(answer["walls"]) for answer in one]),
        "two_processes_per_second": spread([answer["per_second"] for answer in two]),
        "two_processes_cpu_ms": spread([answer["cpu_ms"] for answer in two]),
    }


def measure_engine(bare: BareCompiler, say: Say) -> dict[str, Any]:
    """A warm child of the pool against the same compile in process, and the first render of a new team."""
    pool = EnginePool(children=1, spares=1, max_jobs=10**6, font_paths=fonts())
    pool.start()
    try:
        number = 5_000_000
        for _ in range(30):
            number += 1
            pool.render("warm", RenderJob(source=SOURCE, data=invoice_json(number)))
        rounds: list[tuple[float, float]] = []
        for turn in range(_ENGINE_ROUNDS):
            say(f"engine child against in-process compile, round {turn + 1} of {_ENGINE_ROUNDS}")
            inside = statistics.median(bare.run(count=_PER_ROUND)["walls"])
            walls = []
            for _ in range(_PER_ROUND):
                number += 1
                walls.append(_timed_render(pool, "warm", number))
            rounds.append((1000 * inside, 1000 * statistics.median(walls)))
        say("first render of a new team")
        with_spare = [_first_render(pool, f"team {place}", number + place) for place in range(_NEW_TEAMS)]
    finally:
        pool.close()
    pool = EnginePool(children=1, spares=0, font_paths=fonts())
    pool.start()
    try:
        without = [_first_render(pool, f"team {place}", number + 100 + place) for place in range(_NEW_TEAMS)]
    finally:
        pool.close()
    excess = [child - (1.15 * inside + 1) for inside, child in rounds]
    return {
        "in_process_ms": spread([inside for inside, _ in rounds]),
        "child_ms": spread([child for _, child in rounds]),
        "ratio": spread([child / inside for inside, child in rounds]),
        "difference_ms": spread([child - inside for inside, child in rounds]),
        "over_target_ms": spread(excess),
        "new_team_with_spare_ms": spread(with_spare),
        "new_team_without_spare_ms": spread(without),
    }


def _timed_render(pool: EnginePool, team: str, number: int) -> float:
    job = RenderJob(source=SOURCE, data=invoice_json(number))
    begin = time.perf_counter()
    pool.render(team, job)
    return time.perf_counter() - begin


def _first_render(pool: EnginePool, team: str, number: int) -> float:
    time.sleep(_SPARE_SECONDS)  # the spare that the render before used up is being replaced
    return 1000 * _timed_render(pool, team, number)


def measure_sync(app: Application, bare: BareCompiler, say: Say) -> dict[str, Any]:
    """One client that waits for each document, on an idle machine, against the bare compile."""
    connection = Connection(app.target)
    for _ in range(30):
        connection.render(app.numbers(1), wait=True)
    walls: list[float] = []
    differences: list[float] = []
    inside: list[float] = []
    for turn in range(_SYNC_ROUNDS):
        say(f"sync render over HTTP, round {turn + 1} of {_SYNC_ROUNDS}")
        compiled = [1000 * wall for wall in bare.run(count=_SYNC_PER_ROUND)["walls"]]
        mine = [_timed_post(connection, app.numbers(1)) for _ in range(_SYNC_PER_ROUND)]
        differences.append(statistics.median(mine) - statistics.median(compiled))
        walls += mine
        inside += compiled
    return {
        "wall_ms": {f"p{percent}": percentile(walls, percent) for percent in (50, 95, 99)},
        "bare_p50_ms": percentile(inside, 50),
        "over_bare_ms": spread(differences),
    }


def _timed_post(connection: Connection, number: int) -> float:
    begin = time.perf_counter()
    status = connection.render(number, wait=True)
    if status != 200:
        raise RuntimeError(f"a sync render was answered with {status}")
    return 1000 * (time.perf_counter() - begin)


def measure_async(app: Application, bare: list[BareCompiler], say: Say) -> dict[str, Any]:
    """Renders accepted over HTTP until stored, per second and in CPU, against bare compiles on all cores."""
    say("async renders, warm-up")
    app.run_async(_ASYNC_WARM_UP)
    around = [run_both(bare, _BARE_SECONDS)]
    rates, ratios, cpu_ms, cpu_ratios = [], [], [], []
    by_group: dict[str, list[float]] = {group: [] for group in GROUPS}
    for turn in range(_ASYNC_ROUNDS):
        say(f"{_ASYNC_COUNT} async renders, round {turn + 1} of {_ASYNC_ROUNDS}")
        before = cpu_seconds(app.roots)
        run = app.run_async(_ASYNC_COUNT)
        after = cpu_seconds(app.roots)
        around.append(run_both(bare, _BARE_SECONDS))
        rates.append(run["count"] / run["seconds"])
        ratios.append(rates[-1] / statistics.mean(one["per_second"] for one in around[-2:]))
        used = {group: 1000 * (after.get(group, 0) - before.get(group, 0)) / run["count"] for group in GROUPS}
        for group in GROUPS:
            by_group[group].append(used[group])
        cpu_ms.append(sum(used.values()))
        cpu_ratios.append(cpu_ms[-1] / statistics.mean(one["cpu_ms"] for one in around[-2:]))
    return {
        "per_second": spread(rates),
        "bare_per_second": spread([one["per_second"] for one in around]),
        "ratio": spread(ratios),
        "cpu_ms": spread(cpu_ms),
        "bare_cpu_ms": spread([one["cpu_ms"] for one in around]),
        "cpu_ratio": spread(cpu_ratios),
        "cpu_ms_by_group": {group: statistics.median(values) for group, values in by_group.items()},
    }


def measure_memory(app: Application, counts: tuple[int, int], say: Say) -> dict[str, Any]:
    """Private memory of every kind of process after the first and after the second number of renders."""
    return _measure_memory(app, counts, ONLY_TYPST, "memory", say)


def measure_mixed(app: Application, say: Say) -> dict[str, Any]:
    """The same for renders of all three engines in turns."""
    return _measure_memory(app, _MIXED_COUNTS, _MIX, "memory with three engines", say)


def _measure_memory(
    app: Application, counts: tuple[int, int], mix: Sequence[str], what: str, say: Say
) -> dict[str, Any]:
    seen = []
    made = 0
    for count in counts:
        while made < count:
            say(f"{what}, render {made} of {counts[1]}")
            batch = min(_BATCH, count - made)
            app.run_async(batch, mix=mix, deadline_seconds=600)
            made += batch
        seen.append(private_megabytes(app.roots, app.zygotes))
    kinds = [kind for kind in seen[0] if kind in seen[1] and seen[0][kind] > 0]
    return {
        "renders": list(counts),
        "megabytes": {kind: [seen[0][kind], seen[1][kind]] for kind in kinds},
        "ratio": {kind: seen[1][kind] / seen[0][kind] for kind in kinds},
    }
