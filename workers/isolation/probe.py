"""What is really in force here? A sacrificial child confines itself as a real one does, and then tries to get out.

Behaviour is asked, not version numbers: kernels, containers and security modules differ in too many ways.
"""

import contextlib
import ctypes
import json
import mmap
import os
import select
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.isolation import kernel
from workers.isolation.confinement import Profile, confine
from workers.isolation.landlock import LandlockUnavailableError

_ANSWER_SECONDS = 30
_MUCH_MEMORY = 64 << 30
_RESERVE_NOTHING = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
"""With MAP_NORESERVE: the limit is asked, not how much memory this machine happens to have."""
_PTRACE_SEIZE = 0x4206
_SOCKET = "socket"
_CLOSED_PORT = 9  # discard: "refused" already means that the kernel let the attempt through


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """`active` names the layers in force; `missing` the ways out that were open, or why nothing could be tried."""

    active: dict[str, Any]
    missing: tuple[str, ...]


def probe_isolation(profile: Profile, folder: Path) -> ProbeReport:
    """Try `profile` in a child of this single-threaded process. `folder` must be traversable for the child's user.

    The bait lies outside everything that the profile allows, open to every user, so that only the layers guard it.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="probe-") as name, contextlib.ExitStack() as stack:
        bait = Path(name, "bait")
        bait.write_bytes(b"bait")
        bait.chmod(0o666)
        Path(name).chmod(0o755)
        stack.enter_context(contextlib.chdir(name))  # the address of a unix socket has little room for a path
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(_SOCKET)
        listener.listen(1)
        Path(_SOCKET).chmod(0o666)
        leaked = os.open(bait, os.O_RDONLY)
        stack.callback(os.close, leaked)
        report = _run(profile, _attempts(bait, leaked))
    if "failed" in report:
        return ProbeReport({}, (str(report["failed"]),))
    open_ways = tuple(sorted(way for way, was_open in report["attempts"].items() if was_open))
    return ProbeReport(report["active"], open_ways)


def _run(profile: Profile, attempts: dict[str, Callable[[], object]]) -> dict[str, Any]:
    parent = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps(_in_child(profile, parent, writing, attempts)).encode())
        os._exit(0)
    os.close(writing)
    answer = b""
    while select.select([reading], [], [], _ANSWER_SECONDS)[0] and (part := os.read(reading, 1 << 16)):
        answer += part
    os.close(reading)
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not answer:
        return {"failed": f"the probe ended with {status} and said nothing"}
    result: dict[str, Any] = json.loads(answer)
    return result


def _in_child(
    profile: Profile, parent: int, answer: int, attempts: dict[str, Callable[[], object]]
) -> dict[str, Any]:
    try:
        active = confine(profile, parent, keep=(answer,))
    except (OSError, RuntimeError, NotImplementedError, LandlockUnavailableError) as error:
        return {"failed": str(error)}
    return {"active": active, "attempts": {name: _succeeds(attempt) for name, attempt in attempts.items()}}


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return False
    return True


def _attempts(bait: Path, leaked: int) -> dict[str, Callable[[], object]]:
    parent = os.getpid()

    def connect_tcp() -> None:
        with socket.socket() as tcp, contextlib.suppress(ConnectionRefusedError):
            tcp.connect(("127.0.0.1", _CLOSED_PORT))

    def connect_unix() -> None:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.connect(_SOCKET)

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    def trace_parent() -> None:
        kernel.syscall("ptrace", *(ctypes.c_long(value) for value in (_PTRACE_SEIZE, parent, 0, 0)))

    return {
        "reading a file outside": lambda: os.close(os.open(bait, os.O_RDONLY)),
        "writing a file outside": lambda: os.close(os.open(bait, os.O_WRONLY)),
        "an inherited descriptor": lambda: os.fstat(leaked),
        "TCP": connect_tcp,
        "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "unix sockets": connect_unix,
        "signalling the parent": lambda: os.kill(parent, 0),
        "tracing the parent": trace_parent,
        "64 GB of memory": lambda: mmap.mmap(-1, _MUCH_MEMORY, flags=_RESERVE_NOTHING).close(),
        "starting a process": fork,
        # last: where it succeeds, nothing comes after it
        "running a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    }
