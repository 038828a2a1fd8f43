"""Start services side by side and keep them alive."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from automette.stack.children import Wait, reap, stop_all, tail
from automette.stack.errors import StackError

if TYPE_CHECKING:
    import signal
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SECONDS_TO_START = 60.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
SECONDS_OF_GOOD_HEALTH = 30.0


class Service(Protocol):
    """One program that the stack runs."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | None
    stop_ladder: Sequence[tuple[signal.Signals, float]]

    def start(self) -> Iterator[None]:
        """Start it; yields while it is not ready yet, so that several start side by side in one thread."""


@dataclass(slots=True)
class _State:
    started_at: float
    pause: float = 0.0
    restart_at: float | None = None
    starting: Iterator[None] | None = None


@dataclass(slots=True)
class Keeper:
    """Starts services together, restarts the ones that end (with growing pauses), stops them together."""

    services: Sequence[Service]
    report: Callable[[str], None]
    _states: dict[str, _State] = field(default_factory=dict)

    def start(self, wait: Wait, on_ready: Callable[[Service, float], None]) -> None:
        """Return when every service is ready; `on_ready` gets each with the seconds it took."""
        begin = time.monotonic()
        starting = {service.name: (service, service.start()) for service in self.services}
        while starting:
            for name, (service, steps) in list(starting.items()):
                if _advance(service, steps, begin):
                    del starting[name]
                    self._states[name] = _State(started_at=time.monotonic())
                    on_ready(service, time.monotonic() - begin)
            if starting:
                wait(0.01)

    def tick(self) -> None:
        """Look after the services; to be called again and again, never waits long."""
        for service in self.services:
            state = self._states[service.name]
            if state.starting is not None:
                self._continue_start(service, state)
            elif state.restart_at is None:
                self._notice_end(service, state)
            elif time.monotonic() >= state.restart_at:
                state.started_at, state.restart_at = time.monotonic(), None
                state.starting = service.start()
                self._continue_start(service, state)

    def stop(self) -> None:
        """End all services side by side; what does not go by itself is killed."""
        stop_all([(service.process, service.stop_ladder) for service in self.services if service.process is not None])

    def _notice_end(self, service: Service, state: _State) -> None:
        if service.process is None or (code := reap(service.process)) is None:
            return
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        self._plan_restart(service, state, f"{service.name} ended ({how})")

    def _continue_start(self, service: Service, state: _State) -> None:
        if state.starting is None:
            return
        try:
            if _advance(service, state.starting, state.started_at):
                state.starting = None
                self.report(f"{service.name} is back")
        except StackError as error:
            state.starting = None
            self._plan_restart(service, state, str(error))

    def _plan_restart(self, service: Service, state: _State, reason: str) -> None:
        healthy = time.monotonic() - state.started_at > SECONDS_OF_GOOD_HEALTH
        state.pause = FIRST_PAUSE if healthy or not state.pause else min(state.pause * 2, LONGEST_PAUSE)
        state.restart_at = time.monotonic() + state.pause
        self.report(f"{reason}; starting it again in {state.pause:g} s (log: {service.log})")


def _advance(service: Service, steps: Iterator[None], begin: float) -> bool:
    """Whether the service is ready after one more step."""
    try:
        next(steps)
    except StopIteration:
        return True
    if time.monotonic() - begin > SECONDS_TO_START:
        raise StackError(
            f"{service.name} did not answer within {SECONDS_TO_START:.0f} s. "
            f"The end of {service.log}:\n{tail(service.log)}"
        )
    return False
