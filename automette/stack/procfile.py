"""The Procfile: the one place that says which processes the application consists of."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from automette.stack.children import spawn
from automette.stack.errors import StackError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent.parent
RELEASE = "release"  # runs to its end before the others start
LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")


class Process:
    """A process of the application that runs until it is stopped.

    A killed one loses nothing: what it had claimed is claimed again when the lease ends.
    """

    stop_ladder: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 5.0), (signal.SIGQUIT, 2.0))

    def __init__(self, name: str, command: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._environment = environment

    def start(self) -> Iterator[None]:
        """Start it; whether it works is for `/readyz` to say."""
        self.process = spawn(
            shell(self._command),
            environment=self._environment,
            death_signal=signal.SIGKILL,
            log=self.log,
            working_directory=PROJECT,
        )
        return iter(())


def shell(command: str) -> list[str]:
    """The arguments that run a Procfile command as every other runner of Procfiles does, without a shell staying."""
    return ["/bin/sh", "-c", f"exec {command}"]


def read_procfile(file: Path = PROJECT / "Procfile") -> dict[str, str]:
    """Name to command, in the order of the file. Raises StackError for a line that is neither."""
    commands: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if (match := LINE.fullmatch(line.strip())) is None:
            raise StackError(f"{file}, line {number}: expected `name: command`.")
        commands[match[1]] = match[2]
    return commands
