"""`make bench`: measure speeds, CPU and memory in one run and print them beside what is to be reached."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import canvas, measurements, ondemand, report, scale, teams, waiting, webhooks, word
from bench.application import application
from bench.bare import BareCompiler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.application import Application

_WITH_BARE = ("bare", "engine", "canvas", "docx", "teams", "sync", "async", "memory", "mixed")
ALL = (*_WITH_BARE, "scale", "waiting", "ondemand", "webhooks")
_ENGINES = {"canvas": canvas.measure_canvas, "docx": word.measure_docx, "teams": teams.measure_teams}
_APART = {  # compared with nothing bare, and they start what they need themselves
    "scale": scale.measure_scale,
    "waiting": waiting.measure_waiting,
    "ondemand": ondemand.measure_ondemand,
    "webhooks": webhooks.measure_webhooks,
}
_LONG = {"memory", "mixed", "scale"}
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help=f"some of {','.join(ALL)}", default=",".join(ALL))
    parser.add_argument("--quick", action="store_true", help="without memory, mixed and scale")
    parser.add_argument(
        "--long", action="store_true", help="memory after 1,000 and 10,000 renders, not 500 and 3,000"
    )
    options = parser.parse_args()
    wanted = set(options.only.split(",")) - (_LONG if options.quick else set())
    if unknown := wanted - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if "DATABASE_URL" not in os.environ:
        parser.error(
            "No servers. Run `make bench`, or `python -m automette.stack exec --temporary -- python -m bench`."
        )
    begin = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begin:6.1f} s  {line}", file=sys.stderr, flush=True)

    results = _machine()
    say(f"{results['machine']['cores']} cores, load average at the start {results['machine']['load_average']:.2f}")
    with BareCompiler(10_000_000) as first, BareCompiler(20_000_000) as second:
        _measure(wanted, [first, second], (1000, 10_000) if options.long else (500, 3000), results, say)
    results |= {name: measure(say) for name, measure in _APART.items() if name in wanted}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{dt.datetime.now():%Y%m%d-%H%M%S}.json"  # noqa: DTZ005 - a name for people
    file.write_text(json.dumps(results, indent=2) + "\n")
    print("\n".join(report.lines(results)))
    print(f"\nload average at the start {results['machine']['load_average']:.2f}; {file.name} holds all figures")
    return 0


def _measure(
    wanted: set[str],
    bare: list[BareCompiler],
    counts: tuple[int, int],
    results: dict[str, Any],
    say: measurements.Say,
) -> None:
    if "bare" in wanted:
        results["bare"] = measurements.measure_bare(bare, say)
    if "engine" in wanted:
        results["engine"] = measurements.measure_engine(bare[0], say)
    for name, measure in _ENGINES.items():
        if name in wanted:
            results[name] = measure(say)
    if wanted & {"sync", "async", "memory"}:
        with _started(say) as app:
            if "sync" in wanted:
                results["sync"] = measurements.measure_sync(app, bare[0], say)
            if "async" in wanted:
                results["async"] = measurements.measure_async(app, bare, say)
            if "memory" in wanted:
                results["memory"] = measurements.measure_memory(app, counts, say)
    if "mixed" in wanted:
        with _started(say) as app:  # anew, so that its first figures are of processes that have done nothing else
            results["mixed"] = measurements.measure_mixed(app, say)


@contextlib.contextmanager
def _started(say: measurements.Say) -> Iterator[Application]:
    say("starting web, worker and sweeper")
    with tempfile.TemporaryDirectory(prefix="automette-bench-") as folder, application(Path(folder)) as app:
        yield app


def _machine() -> dict[str, Any]:
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "architecture": platform.machine(),
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0],
        },
    }


if __name__ == "__main__":
    sys.exit(main())
