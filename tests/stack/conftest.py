import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
OURS = ("DATABASE_URL", "REDIS_URL", "S3_", "SECRET_KEY", "AUTOMETTE_DATA", "PORT", "PUBLIC_URL", "CDN_BASE_URL")
SECONDS = 100.0
"""Ends what hangs, and nothing that a slow machine comes to in the end."""
TELL_AND_WAIT = """
import json, os, sys
print(json.dumps(dict(os.environ)), flush=True)
sys.exit(len(sys.stdin.readline().strip()))
"""


@dataclass
class Stack:
    """A running `exec` whose command waits for a line; its exit code is the length of that line."""

    process: subprocess.Popen[str]
    variables: dict[str, str]

    def finish(self, line: str = "") -> int:
        self.process.communicate(line + "\n", timeout=SECONDS)
        return self.process.returncode


StartStack = Callable[..., Stack]


def stack_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "automette.stack", *arguments]


def family(pid: int) -> set[tuple[int, str]]:
    """Every living descendant of a process as (pid, start time), the pair that the kernel never gives twice."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in "ZX":
            parents[int(folder.name)] = (int(fields[1]), fields[19])
    found = {pid}
    while more := {child for child, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return {(member, parents[member][1]) for member in found - {pid} if member in parents}


def still_alive(members: set[tuple[int, str]], *, within: float) -> set[tuple[int, str]]:
    """Those of the processes that have not ended within so many seconds."""
    deadline = time.monotonic() + within
    while True:
        alive = set()
        for pid, started in members:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] not in "ZX" and fields[19] == started:
                alive.add((pid, started))
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)


def without_servers(temporary: Path) -> dict[str, str]:
    """This environment without the servers of the test run, and with a temporary folder of its own."""
    temporary.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | {"TMPDIR": str(temporary)}


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    return without_servers(tmp_path / "tmp")


def starter(environment: dict[str, str]) -> Iterator[StartStack]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, **variables: str) -> Stack:
        process = subprocess.Popen(
            stack_command("exec", *options, "--", sys.executable, "-c", TELL_AND_WAIT),
            env=environment | variables,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the command was not started"
        return Stack(process, json.loads(line))

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)


@pytest.fixture
def start_stack(clean_environment: dict[str, str]) -> Iterator[StartStack]:
    yield from starter(clean_environment)


@pytest.fixture(scope="package")
def shared_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of one temporary stack, for tests that only look at it."""
    folder = tmp_path_factory.mktemp("shared")
    for start in starter(without_servers(folder / "tmp")):
        yield start("--temporary").variables
