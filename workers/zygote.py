"""The zygote: one clean process with the engine imported and one thread, from which children are forked.

It is spawned, not forked, so that nothing of the service (secrets, sockets, threads) is in its memory. It never
compiles anything: a process that has compiled has threads, and a fork of it hangs. It outlives the service by the
moment it takes to end the children and to remove the runtime directory, also when the service was killed.

Requests come over a socket that keeps messages apart, one at a time: `fork` and `reap`.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import socket
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from workers.engine_process import Engine, run_child
from workers.engines.needs import FONTS, ROOT, SCRATCH, ChildNeeds
from workers.engines.registry import ENGINES
from workers.isolation import kernel
from workers.isolation.confinement import Profile
from workers.isolation.probe import probe_isolation

MAX_CONTROL_BYTES = 1 << 16
_REAP_SECONDS = 10.0
"""Only a net: a child that was killed ends at once, or as soon as a busy machine comes to it."""
_NEEDED_LATER = ("encodings.idna", "encodings.latin_1", "traceback", "linecache")
"""A child cannot open the standard library, so what it might import lazily is imported here."""


class Zygote:
    """The state of the zygote process: its settings, the engine and the children that it has not reaped."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._children: set[int] = set()
        self._engine_class = ENGINES[settings["engine"]].load()
        self._needs: ChildNeeds = self._engine_class.needs()
        self._profile = Profile(
            readable=(*settings["readable"], *self._needs.readable),
            writable=(settings["writable"],) if self._needs.scratch else (),
            extra_syscalls=self._needs.extra_syscalls,
            pretended_syscalls=self._needs.pretended_syscalls,
            memory_bytes=settings["memory_bytes"],
            cpu_seconds=settings["cpu_seconds"],
            uid=settings["probe_uid"],
            layers=frozenset(settings["layers"]),
        )
        self._engine: Engine

    def run(self) -> None:
        """Report what the probe found, then serve until the service closes its end."""
        report = probe_isolation(self._profile, Path(self._settings["runtime"]))
        if report.missing and self._settings["allow_unsafe"]:
            self._use_what_there_is()
        self._load_engine()
        self._answer({"pid": os.getpid(), "scratch": self._needs.scratch, **asdict(report)})
        while message := self._control.recv(MAX_CONTROL_BYTES):
            request = json.loads(message)
            if request["do"] == "fork":
                self._fork(request)
            else:
                self._answer({"status": self._reap(request["pid"])})

    def end(self) -> None:
        """Kill and reap every child, then remove the runtime directory."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        shutil.rmtree(self._settings["runtime"], ignore_errors=True)

    def _use_what_there_is(self) -> None:
        """Keep the layers that this machine has, one by one; the operator has accepted to go without the others."""
        usable = []
        for layer in self._profile.layers:
            alone = replace(self._profile, layers=(layer,))
            if layer in probe_isolation(alone, Path(self._settings["runtime"])).active:
                usable.append(layer)
        self._profile = replace(self._profile, layers=tuple(usable))

    def _load_engine(self) -> None:
        self._engine = self._engine_class(self._settings["fonts"], self._settings["package_path"])
        for later in _NEEDED_LATER:
            importlib.import_module(later)
        gc.collect()
        gc.freeze()

    def _fork(self, request: dict[str, Any]) -> None:
        if kernel.count_threads() > 1 + self._needs.idle_threads:
            raise RuntimeError("the zygote has threads; a child forked now would hang")
        slot = Path(request["slot"])
        profile = replace(
            self._profile,
            readable=(*self._profile.readable, str(slot / ROOT), str(slot / FONTS)),
            writable=(str(slot / SCRATCH),) if self._needs.scratch else (),
            uid=request["uid"],
            memory_bytes=request["memory_bytes"],
        )
        ours, childs = socket.socketpair()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            _live_as_child(childs, profile, self._engine, slot, zygote)
        childs.close()
        self._children.add(pid)
        handle = os.pidfd_open(pid)
        self._answer({"pid": pid}, ours.fileno(), handle)
        ours.close()
        os.close(handle)

    def _reap(self, pid: int) -> int | None:
        """The exit status of a child that is ending, as `waitstatus_to_exitcode` gives it; None if it lives on."""
        if pid not in self._children:
            return None
        give_up = time.monotonic() + _REAP_SECONDS
        while True:
            given_up = time.monotonic() > give_up  # before the look: whoever stood still meanwhile looks once more
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                return os.waitstatus_to_exitcode(status)
            if given_up:
                return None
            time.sleep(0.001)

    def _answer(self, message: dict[str, Any], *descriptors: int) -> None:
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._control.sendmsg([json.dumps(message).encode()], passed)


def _live_as_child(channel: socket.socket, profile: Profile, engine: Engine, slot: Path, zygote: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    status = 0
    try:
        run_child(channel, profile, engine, slot=slot, parent=zygote)
    # whatever it was, a child must not come back into the zygote's code; the status tells the pool
    except BaseException:  # noqa: BLE001
        status = 70
    os._exit(status)


def main(control_descriptor: int, service: int, *, follow_thread: bool) -> None:
    """Run the zygote on an inherited socket; `service` is the process that started it.

    `follow_thread`: also end when the thread of the service that started us ends. The socket tells the end of the
    service by itself, unless another process inherited its far end.
    """
    os.umask(0o022)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    control = socket.socket(fileno=control_descriptor)

    def hang_up(*_: object) -> None:
        with contextlib.suppress(OSError):
            control.shutdown(socket.SHUT_RDWR)

    # not an exception, which could hit the cleaning up: the service's end and its signal arrive together
    signal.signal(signal.SIGTERM, hang_up)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if follow_thread:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != service:
            return
    settings = json.loads(control.recv(MAX_CONTROL_BYTES))
    zygote = Zygote(control, settings)
    status = 1
    try:
        zygote.run()
        status = 0
    except Exception:  # noqa: BLE001 - told as Python would, which is not asked again
        traceback.print_exc()
    finally:
        zygote.end()
        # the handlers that engines register for the end are not run: LibreOffice would write its profile anew
        os._exit(status)
