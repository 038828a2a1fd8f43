"""What can go wrong with the stack, told as sentences for the person at the terminal."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start; the message says why and what to do."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived while the stack was busy.

    A BaseException like KeyboardInterrupt: nothing on the way up may take it for a failure.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
