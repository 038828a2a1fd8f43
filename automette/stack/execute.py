"""`exec`: run one command with the servers it needs around it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from automette.stack.children import reap, spawn
from automette.stack.data_directory import open_data_directory
from automette.stack.errors import Interrupted, StackError
from automette.stack.servers import missing_servers, servers
from automette.stack.signals import SI_KERNEL, STOPPING, Signals

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from automette.stack.keeper import Keeper


def execute(command: Sequence[str], *, path: Path | None) -> int:
    """Run the command with the missing servers, in the data directory `path` or in a temporary one (None).

    Returns its exit code, 128 + n where signal n ended it, as shells do. Stopping signals are passed on.
    """
    begin = time.monotonic()
    with Signals() as signals:
        try:
            with (
                open_data_directory(path, wait=signals.wait) as data,
                servers(data, wait=signals.wait, report=_say, on_ready=lambda *_: None) as (
                    keeper,
                    variables,
                ),
            ):
                data.publish(variables)
                if missing_servers(os.environ):
                    names = ", ".join(service.name for service in keeper.services)
                    _say(f"{names} ready in {time.monotonic() - begin:.1f} s ({data.path})")
                process = _start(command, os.environ | variables)
                return _follow(process, signals, keeper)
        except Interrupted as interruption:
            return 128 + interruption.signal_number


def _start(command: Sequence[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return spawn(command, environment=variables, death_signal=signal.SIGKILL, own_session=False)
    except OSError as error:
        raise StackError(f"{command[0]} cannot be run: {error.strerror}.") from error


def _follow(process: subprocess.Popen[bytes], signals: Signals, keeper: Keeper) -> int:
    while (code := reap(process)) is None:
        received = signals.next(0.5)
        # The terminal sends Ctrl-C to the whole foreground group: the command has had it already.
        if received is not None and received.si_signo in STOPPING and received.si_code != SI_KERNEL:
            process.send_signal(received.si_signo)
        keeper.tick()
    return code if code >= 0 else 128 - code


def _say(line: str) -> None:
    sys.stderr.write(f"stack: {line}\n")
    sys.stderr.flush()
