"""One engine child, as the pool sees it: a socket, a pidfd, a slot, and the team that it belongs to for life."""

import contextlib
import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.frames import receive_frame, send_frame
from workers.runtime_dir import Slot

_STATM_RESIDENT = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True, eq=False)
class EngineChild:
    """A child that was forked. It is confined and warm once `wait_until_ready` has returned."""

    pid: int
    pidfd: int
    channel: socket.socket
    slot: Slot
    uid: int | None
    memory_bytes: int
    fonts: tuple[Path, ...] = ()
    team: str | None = None
    jobs: int = 0
    cpu_seconds: float = 0.0
    last_used: float = field(default_factory=time.monotonic)
    active: dict[str, Any] | None = None
    ended: bool = False

    def wait_until_ready(self, deadline: float) -> None:
        """Wait for the first message. Raises TimeoutError, BrokenFrameError or OSError."""
        if self.active is None:
            head, _ = receive_frame(self.channel, max_body=0, deadline=deadline)
            self.active = head["ready"]

    def ask(
        self, head: dict[str, Any], body: bytes, *, deadline: float, max_body: int
    ) -> tuple[dict[str, Any], bytes]:
        """Send one request and wait for its answer. Raises TimeoutError, BrokenFrameError or OSError."""
        send_frame(self.channel, head, body, deadline=deadline)
        answer = receive_frame(self.channel, max_body=max_body, deadline=deadline)
        self.jobs += 1
        self.last_used = time.monotonic()
        return answer

    def resident_bytes(self) -> int:
        """Memory in use, from the kernel and not from the child; 0 when it has ended."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:  # noqa: PTH123 - on the path of every render
                return int(statm.read().split()[_STATM_RESIDENT]) * _PAGE_BYTES
        except OSError:
            return 0

    def is_quiet(self) -> bool:
        """Whether an idle child is still there: it has nothing to say, so anything to read is its end."""
        return not select.select([self.channel], [], [], 0)[0]

    def signal_end(self) -> None:
        """Kill it. The pidfd cannot mean another process, as a pid might by now."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def kill(self) -> None:
        """Kill it and give back its socket, its handle and its slot. Only the thread that uses it may do that."""
        if self.ended:
            return
        self.ended = True
        self.signal_end()
        self.channel.close()
        os.close(self.pidfd)
        self.slot.remove()
