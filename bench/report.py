"""The table at the end: each figure beside the figure to reach."""

from __future__ import annotations

from typing import Any

_WIDTH = 46
_SMALL_MB = 8  # below this a ratio says more about pages than about leaks


def lines(results: dict[str, Any]) -> list[str]:
    """Return the table for what was measured."""
    rows = [f"{'':{_WIDTH}} {'min':>8} {'median':>8} {'max':>8}   to reach"]
    for name, table in (
        ("bare", _bare),
        ("engine", _engine),
        ("sync", _sync),
        ("async", _async),
        ("memory", _memory),
    ):
        if name in results:
            rows += ["", *table(results[name])]
    return rows


def _row(name: str, values: dict[str, float], goal: str = "", *, reached: bool | None = None) -> str:
    mark = {None: "", True: "  reached", False: "  MISSED"}[reached]
    numbers = " ".join(f"{values[key]:8.2f}" if key in values else " " * 8 for key in ("min", "median", "max"))
    return f"{name:{_WIDTH}} {numbers}   {goal}{mark}"


def _bare(found: dict[str, Any]) -> list[str]:
    wall = found["wall_ms"]
    return [
        _row("bare compile, p50, ms", {"median": wall["p50"], "max": wall["p95"]}, "(max: p95)"),
        _row("bare compile, 1 process, CPU ms", found["one_process_cpu_ms"]),
        _row("bare compile, 1 process, per second", found["one_process_per_second"]),
        _row("bare compile, 2 processes, CPU ms", found["two_processes_cpu_ms"]),
        _row("bare compile, 2 processes, per second", found["two_processes_per_second"]),
    ]


def _engine(found: dict[str, Any]) -> list[str]:
    return [
        _row("in-process compile, ms", found["in_process_ms"]),
        _row("warm engine child, ms", found["child_ms"]),
        _row("engine child / in process", found["ratio"]),
        _row(
            "engine child - (1.15 x in process + 1 ms), ms",
            found["over_target_ms"],
            "<= 0",
            reached=found["over_target_ms"]["median"] <= 0,
        ),
        _row("new team, spare ready, ms", found["new_team_with_spare_ms"]),
        _row("new team, no spare, ms", found["new_team_without_spare_ms"]),
    ]


def _sync(found: dict[str, Any]) -> list[str]:
    wall = found["wall_ms"]
    over = found["over_bare_ms"]
    return [
        _row(
            "sync over HTTP, p50, ms",
            {"median": wall["p50"], "max": wall["p99"]},
            f"(max: p99; p95 {wall['p95']:.2f})",
        ),
        _row("sync p50 - bare p50, ms", over, "<= 12", reached=over["median"] <= 12),
    ]


def _async(found: dict[str, Any]) -> list[str]:
    groups, cpu = found["cpu_ms_by_group"], found["cpu_ratio"]
    return [
        _row("async, accepted to stored, per second", found["per_second"]),
        _row("bare on 2 cores in between, per second", found["bare_per_second"]),
        _row("async rate / bare rate", found["ratio"], ">= 0.35", reached=found["ratio"]["median"] >= 0.35),
        _row("CPU per async render, all processes, ms", found["cpu_ms"]),
        _row("bare compile in between, CPU ms", found["bare_cpu_ms"]),
        _row("CPU of an async render / bare CPU", cpu, "<= 2.5", reached=cpu["median"] <= 2.5),
        "  of it: " + ", ".join(f"{group} {value:.2f}" for group, value in groups.items()),
    ]


def _memory(found: dict[str, Any]) -> list[str]:
    first, second = found["renders"]
    rows = [
        f"private memory of the largest process, MB: after {first} renders, after {second}, ratio (to reach <= 1.1)"
    ]
    for kind, (before, after) in found["megabytes"].items():
        ratio = found["ratio"][kind]
        mark = "" if ratio <= 1.1 else f"  small (below {_SMALL_MB} MB)" if after < _SMALL_MB else "  MISSED"
        rows.append(f"  {kind:{_WIDTH - 2}} {before:8.1f} {after:8.1f} {ratio:8.2f}{mark}")
    return rows
