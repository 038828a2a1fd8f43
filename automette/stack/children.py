"""Start child processes that cannot outlive the process that started them.

The kernel sends a child its "parent death signal" when the parent ends, also after `kill -9`, so no orphan
holds a port or a data directory. Three of its rules shape this package (prctl(2), PR_SET_PDEATHSIG): it is
bound to the *thread* that forked, so everything here starts from the main thread and waits by polling; a
change of uid clears it, so it is set last; and it is not sent if the parent died before, hence the look at
getppid.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

Wait = Callable[[float], None]
"""Waits that many seconds; where a caller notices signals, by raising."""

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522

# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Account:
    """The uid and gid a child runs under, with at most one capability that it keeps (None: none)."""

    uid: int
    gid: int
    capability: int | None = None

    def assume(self) -> None:
        """Become this account for good; called in the child, between fork and exec.

        The capability is raised into the ambient set, the only one that survives setuid *and* the exec of a
        plain program. Without SECBIT_NO_SETUID_FIXUP access(2) would ignore it, and initdb looks for its
        programs with access.
        """
        if self.capability is not None:
            _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)
        if self.capability is not None:
            mask = 1 << self.capability
            header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
            effective_permitted_inheritable = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
            if _libc.capset(header, effective_permitted_inheritable) != 0:
                raise OSError(ctypes.get_errno(), "capset")
            _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, self.capability)


def _prctl(option: int, *arguments: int) -> None:
    padded = [*arguments, 0, 0, 0, 0][:4]
    if _libc.prctl(option, *(ctypes.c_ulong(argument) for argument in padded)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def die_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """Ask the kernel to send this process `death_signal` when `parent` ends; end now if it already has."""
    _prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def spawn(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    death_signal: signal.Signals,
    log: Path | None = None,
    output: IO[bytes] | None = None,
    working_directory: Path | None = None,
    account: Account | None = None,
    keep_open: Sequence[int] = (),
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a program that gets `death_signal` when this process ends; call it from the main thread only.

    With `log` both outputs are appended to that file and the input is empty; without, it shares the terminal.
    `output` takes the standard output instead.
    `own_session` keeps the terminal's Ctrl-C away from it, so that it is us who stop it, in our order.
    """
    parent = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if account is not None:
            account.assume()
        die_with_parent(parent, death_signal)

    with contextlib.ExitStack() as files:
        messages = None if log is None else files.enter_context(log.open("ab", buffering=0))
        return subprocess.Popen(
            list(arguments),
            env=dict(environment),
            stdin=None if log is None else subprocess.DEVNULL,
            stdout=output or messages,
            stderr=messages,
            cwd=working_directory,
            pass_fds=tuple(keep_open),
            start_new_session=own_session,
            # Safe here: the stack has one thread, and `prepare` only makes system calls.
            preexec_fn=prepare,  # noqa: PLW1509
        )


def reap(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code of a process that has ended, else None.

    What is left of its own process group is killed while the number cannot have been given to anybody else
    yet: workers of a killed gunicorn would keep the port, and its successor would not come up.
    """
    if process.returncode is None and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        # ESRCH: it led no group, or nobody else was in it. EPERM: only processes of another account are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode


def stop_all(
    processes: Sequence[tuple[subprocess.Popen[bytes], Sequence[tuple[signal.Signals, float]]]],
) -> None:
    """End the processes side by side, each by its ladder of (signal, seconds to wait), then by SIGKILL."""
    steps = {process: iter(ladder) for process, ladder in processes}
    deadlines = dict.fromkeys(steps, 0.0)
    while pending := [process for process in steps if reap(process) is None]:
        for process in pending:
            if time.monotonic() >= deadlines[process]:
                signal_number, seconds = next(steps[process], (signal.SIGKILL, 60.0))
                process.send_signal(signal_number)
                deadlines[process] = time.monotonic() + seconds
        time.sleep(0.005)


def minimal_environment() -> dict[str, str]:
    """What a server needs of our environment: nothing of the user's settings, proxies or credentials."""
    kept = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C", "TZ": "UTC"}


def tail(log: Path, *, start: int = 0, lines: int = 15) -> str:
    """The last lines that a server wrote to its log since byte `start`."""
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
