"""The zygote, as the service sees it: started with a clean environment and asked over a socket."""

import array
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from workers.child import EngineChild
from workers.runtime_dir import RuntimeDirectory, Slot
from workers.zygote import MAX_CONTROL_BYTES

_START_SECONDS = 90
_ANSWER_SECONDS = 30
_FIRST_UID, _UIDS = 60_600, 500
"""A range that Debian, Fedora and systemd leave unused; no account needs to exist."""
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PATH": "/nonexistent",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from workers.zygote import main
main(int(sys.argv[2]), int(sys.argv[3]), follow_thread=sys.argv[4] == "main")
"""


class ZygoteGoneError(Exception):
    """The zygote has ended or does not answer; a new one must be started."""


class ZygoteProcess:
    """Start a zygote and wait for the result of its probe. Raises ZygoteGoneError if it does not come up."""

    def __init__(
        self,
        *,
        engine: str,
        font_paths: Sequence[Path],
        package_path: Path | None,
        base: Path | None,
        memory_bytes: int,
        cpu_seconds: int,
        layers: Collection[str],
        allow_unsafe: bool,
    ) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._uid_offset = secrets.randbelow(_UIDS)
        self._drops = os.geteuid() == 0
        self.runtime = RuntimeDirectory(base)
        packages = self.runtime.empty if package_path is None else package_path
        *fonts, packages = self._readable([*font_paths, packages])
        lined_up = self.runtime.line_up_fonts(fonts)
        self._settings = {
            "engine": engine,
            "runtime": str(self.runtime.path),
            "fonts": str(lined_up),
            "readable": [str(path) for path in (*fonts, lined_up, packages)],
            "package_path": str(packages),
            "writable": str(self.runtime.empty),
            "memory_bytes": memory_bytes,
            "cpu_seconds": cpu_seconds,
            "layers": sorted(layers),
            "allow_unsafe": allow_unsafe,
            "probe_uid": self._uid(0),
        }
        self._process, self._control = self._spawn()
        try:
            self.report = self._ask(self._settings, seconds=_START_SECONDS)[0]
        except ZygoteGoneError:
            self.close()
            raise
        self.pid = self._process.pid

    def fork(self, memory_bytes: int, fonts: tuple[Path, ...] = ()) -> EngineChild:
        """Have a child forked; it confines and warms itself while the caller goes on.

        Raises ZygoteGoneError, and OSError when a font file has gone.
        """
        with self._lock:
            self._number += 1
            uid = self._uid(self._number)
            slot = Slot(self.runtime.path, self._number, uid, fonts=fonts, scratch=self.report["scratch"])
            request = {"do": "fork", "slot": str(slot.path), "uid": uid, "memory_bytes": memory_bytes}
            try:
                answer, (channel, pidfd) = self._ask(request)
            except (ZygoteGoneError, ValueError) as error:
                slot.remove()
                raise ZygoteGoneError("the zygote did not fork") from error
        return EngineChild(answer["pid"], pidfd, socket.socket(fileno=channel), slot, uid, memory_bytes, fonts)

    def reap(self, child: EngineChild) -> int | None:
        """The exit status of a child that has ended, None when it is not known."""
        with self._lock:
            try:
                status: int | None = self._ask({"do": "reap", "pid": child.pid})[0]["status"]
            except ZygoteGoneError:
                return None
        return status

    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the zygote, which ends its children, and remove the runtime directory."""
        self._control.close()
        try:
            self._process.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children follow by their death signal
            self._process.wait()
        self.runtime.remove()

    def _readable(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        existing = [path.resolve() for path in paths if path.exists()]
        return self.runtime.offer(existing) if self._drops else tuple(existing)

    def _uid(self, number: int) -> int | None:
        return _FIRST_UID + (self._uid_offset + number) % _UIDS if self._drops else None

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        is_main = threading.current_thread() is threading.main_thread()
        package_root = str(Path(__file__).resolve().parent.parent)
        arguments = [package_root, str(theirs.fileno()), str(os.getpid()), "main" if is_main else "any"]
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, *arguments],
                # an engine may write here at any time (LibreOffice does a second late): it goes with the rest
                env={**_ENVIRONMENT, "TMPDIR": str(self.runtime.path)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self.runtime.lock),
                start_new_session=True,
            )
        return process, ours

    def _ask(self, message: dict[str, Any], *, seconds: float = _ANSWER_SECONDS) -> tuple[dict[str, Any], list[int]]:
        descriptors = array.array("i")
        try:
            self._control.settimeout(seconds)
            self._control.send(json.dumps(message).encode())
            answer, ancillary, _, _ = self._control.recvmsg(
                MAX_CONTROL_BYTES, socket.CMSG_SPACE(2 * descriptors.itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except TimeoutError as error:
            self._process.kill()  # its answer, when it came after all, would be taken for that to the next question
            raise ZygoteGoneError("the zygote did not answer in time") from error
        except OSError as error:
            raise ZygoteGoneError("the zygote does not answer") from error
        if not answer:
            raise ZygoteGoneError("the zygote has ended")
        for _, _, passed in ancillary:
            descriptors.frombytes(passed)
        return json.loads(answer), list(descriptors)
