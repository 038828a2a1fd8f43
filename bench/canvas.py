"""A social card to PNG: a warm child of the Canvas engine against the bare compile of the same drawing."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from bench.bare import BareCompiler
from bench.documents import engine_pool, render_job
from bench.measurements import spread

if TYPE_CHECKING:
    from bench.measurements import Say
    from workers.pool import EnginePool

_ROUNDS, _PER_ROUND, _WARM_UP = 8, 20, 10


def measure_canvas(say: Say) -> dict[str, Any]:
    """What a card costs around its compile, and which part of the engine it goes to."""
    number = 0
    rounds: list[tuple[float, float]] = []
    parts: dict[str, list[float]] = {"drawing": [], "checking": [], "layout": []}
    pool = engine_pool("canvas")
    pool.start()
    try:
        with BareCompiler(30_000_000, "bench.bare_canvas") as bare:
            for _ in range(_WARM_UP):
                number += 1
                _timed_render(pool, number)
            for turn in range(_ROUNDS):
                say(f"canvas child against bare compile, round {turn + 1} of {_ROUNDS}")
                inside = bare.run(count=_PER_ROUND)
                walls = [_timed_render(pool, number + place) for place in range(1, _PER_ROUND + 1)]
                number += _PER_ROUND
                rounds.append((1000 * statistics.median(inside["walls"]), statistics.median(walls)))
                for part, seen in parts.items():
                    seen.extend(inside[part])
    finally:
        pool.close()
    return {
        "bare_ms": spread([compiled for compiled, _ in rounds]),
        "child_ms": spread([child for _, child in rounds]),
        "ratio": spread([child / compiled for compiled, child in rounds]),
        "difference_ms": spread([child - compiled for compiled, child in rounds]),
        "part_ms": {part: 1000 * statistics.median(seconds) for part, seconds in parts.items()},
        "png_bytes": inside["bytes"],
    }


def _timed_render(pool: EnginePool, number: int) -> float:
    job = render_job("canvas", number)
    begin = time.perf_counter()
    pool.render("warm", job)
    return 1000 * (time.perf_counter() - begin)
