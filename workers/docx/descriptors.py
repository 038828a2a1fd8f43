"""Descriptors that a library has open across a fork, made anew in the child under the numbers that it remembers.

Confinement closes whatever was inherited. Files of the library itself are opened again. Pipes and event counters must
be new in any case: shared, the children of one zygote would wake each other, and could talk to each other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PIPE: Final = "pipe:"
_SOCKET: Final = "socket:"
_EVENTS: Final = "anon_inode:[eventfd]"
_KEPT_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Opened:
    """A descriptor: its number, what /proc says it is, and its flags."""

    number: int
    what: str
    flags: int


class Descriptors:
    """Those opened in the block `with watched():`, and in each child those that the library makes while forking."""

    def __init__(self) -> None:
        self._opened: list[Opened] = []
        self._before_fork: list[Opened] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember what is opened in this block; from then on forks by `os.fork` are watched as well."""
        before = _all()
        yield
        self._opened = [each for each in _all() if each not in before]
        os.register_at_fork(before=self._remember, after_in_child=self._look_again)

    def remake(self) -> None:
        """Open everything again, to be called in the child after it was confined. Raises OSError."""
        remake(self._opened)

    def _remember(self) -> None:
        self._before_fork = _all()

    def _look_again(self) -> None:
        """LibreOffice, when forked, closes its pipe and makes another one."""
        now = _all()
        made = [each for each in now if each not in self._before_fork]
        self._opened = [each for each in self._opened if each in now] + made


def remake(opened: list[Opened]) -> None:
    """Put new files, pipes and counters under the same numbers. Raises OSError."""
    floor = max((each.number for each in opened), default=2) + 1  # so that none is made under a number of another
    pipes: dict[str, tuple[int, int]] = {}
    made: list[tuple[Opened, int]] = []
    for each in opened:
        if each.what.startswith(_PIPE):
            if each.what not in pipes:
                reading, writing = os.pipe2(each.flags & _KEPT_FLAGS)
                pipes[each.what] = _lift(reading, floor), _lift(writing, floor)
            made.append((each, pipes[each.what][each.flags & os.O_ACCMODE]))
        elif each.what == _EVENTS:
            made.append((each, _lift(os.eventfd(0, each.flags & _KEPT_FLAGS), floor)))
        else:
            made.append((each, _lift(os.open(each.what, os.O_RDONLY), floor)))
    for each, descriptor in made:
        os.dup2(descriptor, each.number)
    for descriptor in {descriptor for _, descriptor in made} | {end for ends in pipes.values() for end in ends}:
        os.close(descriptor)


def _lift(descriptor: int, floor: int) -> int:
    lifted = fcntl.fcntl(descriptor, fcntl.F_DUPFD, floor)
    os.close(descriptor)
    return lifted


def _all() -> list[Opened]:
    """All but sockets: LibreOffice has none, and the far end of ours may change their flags at any moment."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            what = str(entry.readlink())
            about = Path("/proc/self/fdinfo", entry.name).read_text(encoding="ascii")
        except FileNotFoundError:  # the one that lists them
            continue
        if not what.startswith(_SOCKET):
            found.append(Opened(int(entry.name), what, int(about.split("flags:")[1].split()[0], 8)))
    return sorted(found, key=lambda each: each.number)
