"""Signals as something to wait for, so that none arrives between two lines of code."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

from automette.stack.errors import Interrupted

if TYPE_CHECKING:
    from types import TracebackType

STOPPING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
SI_KERNEL = 0x80  # sent by the kernel: Ctrl-C in the terminal (sigaction(2))


class Signals:
    """Within this context the stopping signals and SIGCHLD wait until they are asked for."""

    def __init__(self) -> None:
        # Under nohup SIGHUP is ignored, and stays so.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
        self._awaited = (STOPPING - ignored) | {signal.SIGCHLD}
        self._mask_before: set[signal.Signals | int] = set()

    def __enter__(self) -> Self:
        self._mask_before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._awaited))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while signal.sigtimedwait(self._awaited, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)

    def next(self, seconds: float) -> signal.struct_siginfo | None:
        """The next signal within that time, SIGCHLD included."""
        return signal.sigtimedwait(self._awaited, seconds)

    def wait(self, seconds: float) -> None:
        """Sleep, shorter if a child changes; raises Interrupted when somebody wants us to stop."""
        received = self.next(seconds)
        if received is not None and received.si_signo in STOPPING:
            raise Interrupted(received.si_signo)
