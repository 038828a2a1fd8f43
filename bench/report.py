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
        ("canvas", _canvas),
        ("docx", _docx),
        ("teams", _teams),
        ("sync", _sync),
        ("async", _async),
        ("memory", _memory),
        ("mixed", _mixed),
        ("scale", _scale),
        ("waiting", _waiting),
        ("ondemand", _ondemand),
        ("webhooks", _webhooks),
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


def _canvas(found: dict[str, Any]) -> list[str]:
    bare, part = found["bare_ms"], found["part_ms"]
    drawing = part["drawing"] - part["checking"]
    rest = found["difference_ms"]["median"] - part["drawing"]
    return [
        _row("bare compile of a 1200 x 630 card to PNG, ms", bare, "(typst-py alone, pictures prepared)"),
        _row("warm Canvas child, ms", found["child_ms"]),
        _row("Canvas child / bare compile", found["ratio"]),
        _row("Canvas child - bare compile, ms", found["difference_ms"]),
        f"  of the compile, ms: layout {part['layout']:.2f}, pixels and PNG {bare['median'] - part['layout']:.2f}",
        f"  around it, ms: checking {part['checking']:.2f}, drawing {drawing:.2f}, pipe and process {rest:.2f}",
    ]


def _docx(found: dict[str, Any]) -> list[str]:
    missing = [f"{name} was not measured: {why}" for name, why in found["missing"].items()]
    if "ours_ms" not in found:
        return missing
    faster = found["soffice_ratio"]
    rows = [
        _row("quote, warm DOCX child, filled and PDF, ms", found["ours_ms"]),
        _row("soffice --convert-to pdf of the filled file, ms", found["soffice_ms"]),
        _row("soffice / warm DOCX child", faster, ">= 6", reached=faster["median"] >= 6),
    ]
    if "carbone_ms" in found:
        rows += [
            _row(f"carbone {found['carbone_version']}, warm, filled and PDF, ms", found["carbone_ms"]),
            _row("carbone / warm DOCX child", found["carbone_ratio"]),
            _row("filled Word file alone, DOCX child, ms", found["ours_docx_ms"]),
            _row("filled Word file alone, carbone, ms", found["carbone_docx_ms"]),
        ]
    other = [name for name, same in found["same_text"].items() if not same]
    if other:
        rows.append(f"  CARE: the document of {', '.join(other)} does not say the same as ours")
    return rows + missing


def _teams(found: dict[str, Any]) -> list[str]:
    rows = []
    for engine, figures in found.items():
        rows += [
            _row(f"{engine}: the same team, ms", figures["same_team_ms"]),
            _row(f"{engine}: two teams in turns, both warm, ms", figures["two_teams_ms"]),
            _row(f"{engine}: new team, spare ready, ms", figures["new_team_with_spare_ms"]),
            _row(f"{engine}: new team, no spare, ms", figures["new_team_without_spare_ms"]),
            _row(f"{engine}: four teams in turns, two children, ms", figures["many_teams_ms"]),
            f"  {figures['evicted']} children evicted; a change of teams costs {figures['change_ms']:.1f} ms there",
        ]
    return rows


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


def _mixed(found: dict[str, Any]) -> list[str]:
    return _memory(found, "renders by three engines (6 Typst, 3 Canvas, 1 DOCX)")


def _memory(found: dict[str, Any], what: str = "renders") -> list[str]:
    first, second = found["renders"]
    rows = [
        "private memory of the largest process, MB, and its ratio (to reach <= 1.1):",
        f"  after {first} and after {second} {what}",
    ]
    for kind, (before, after) in found["megabytes"].items():
        ratio = found["ratio"][kind]
        mark = "" if ratio <= 1.1 else f"  small (below {_SMALL_MB} MB)" if after < _SMALL_MB else "  MISSED"
        rows.append(f"  {kind:{_WIDTH - 2}} {before:8.1f} {after:8.1f} {ratio:8.2f}{mark}")
    return rows


def _scale(found: dict[str, Any]) -> list[str]:
    rows = [f"time with {found['many']:,} renders in the table / with {found['few']:,}:"]
    for name, one in found["requests"].items():
        rows.append(_row(f"  {name}", one["ratio"], "<= 1.3", reached=one["ratio"]["median"] <= 1.3))
        few, many = one["few_ms"], one["many_ms"]
        rows.append(
            f"    p50 {few['p50']:.2f} and {many['p50']:.2f} ms, p95 {few['p95']:.2f} and {many['p95']:.2f} ms"
        )
    return [*rows, f"  both databases were made and filled in {found['loaded_seconds']:.0f} s"]


def _waiting(found: dict[str, Any]) -> list[str]:
    connections = {"max": found["connections"]}
    answers = ", ".join(f"{count} x {status}" for one in found["answered"] for status, count in one.items())
    p50 = f"p50 {found['idle_p50_ms']['median']:.2f} and {found['waiting_p50_ms']['median']:.2f} ms"
    return [
        _row("GET /api/v1/templates, nobody waits, p95, ms", found["idle_p95_ms"]),
        _row(f"the same, {found['waiters']} sync renders wait, p95, ms", found["waiting_p95_ms"]),
        _row("waiting / nobody", found["ratio"], "<= 2", reached=found["ratio"]["median"] <= 2),
        _row("database connections of the web process", connections, "<= 16", reached=found["connections"] <= 16),
        f"  {p50}; answers after at most {found['answers_seconds']['max']:.1f} s: {answers}",
    ]


def _ondemand(found: dict[str, Any]) -> list[str]:
    p95 = ", ".join(
        f"{kind.replace('_', ' ')} {found[kind]['p95_ms']['median']:.1f}"
        for kind in ("signed", "public", "signed_304", "public_304")
    )
    return [
        _row(f"signed URL, {found['bytes']:,} bytes, per second", found["signed"]["per_second"]),
        _row("public file, the same, per second", found["public"]["per_second"]),
        _row("signed / public", found["ratio"]),
        _row("signed URL, 304, per second", found["signed_304"]["per_second"]),
        _row("public file, 304, per second", found["public_304"]["per_second"]),
        _row("signed / public, 304", found["ratio_304"]),
        f"  {found['threads']} connections, one web process; p95 in ms: {p95}",
    ]


def _webhooks(found: dict[str, Any]) -> list[str]:
    one, two, wait = found["one_per_second"], found["two_processes_per_second"], found["wait_ms"]
    cpu = ", ".join(f"{group} {value:.2f}" for group, value in sorted(found["cpu_ms_by_group"].items()))
    return [
        _row("deliveries to one fast receiver, per second", one, ">= 200", reached=one["median"] >= 200),
        _row("deliveries to 20 of them, per second", found["many_per_second"]),
        _row("deliveries to one, by two webhooks processes", two, ">= 200", reached=two["median"] >= 200),
        f"  CPU of each, ms: {cpu}",
        _row(
            "render ended to received, beside a tarpit, p99, ms",
            {"median": wait["p99"], "max": wait["max"]},
            "<= 2000",
            reached=wait["p99"] <= 2000,
        ),
        f"  p50 {wait['p50']:.1f} ms, p95 {wait['p95']:.1f} ms; {found['events_per_second']:.1f} events a second",
        f"  attempts at the tarpit meanwhile: {found['tarpit_attempts']}",
    ]
