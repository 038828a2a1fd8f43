"""What the wording of Typst's errors tells about their cause: the source itself, or data that is not there."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"^(?:(?P<file>[^\n]{1,1000}?), )?line \d+, column \d+: ")
_MISSING_VALUE: Final = re.compile(r"dictionary does not contain key ")
_FILE: Final = re.compile(r"file not found: (.+)$")
_SURELY_THE_SOURCE: Final = re.compile(
    r"unknown variable: |unresolved import|module `[^`]*` does not contain |package .+ is not installed"
    r"|unclosed |unexpected (?!end of )|unknown package"
    r"|expected [^,]+$|cyclic import"
)


class Said(NamedTuple):
    """A message without its place, and the module that it is about; None for the source itself."""

    file: str | None
    message: str


def split_place(message: str) -> Said:
    """Take the place off a message of `typst_messages.explain`, which also gives line and column on their own."""
    found = _PLACE.match(message)
    return Said(found["file"], message[found.end() :]) if found else Said(None, message)


def is_missing_value(message: str) -> bool:
    """Whether a dictionary, such as the caller's data, lacks a key that the template reads without a default."""
    return _MISSING_VALUE.match(split_place(message).message) is not None


def is_surely_the_source(message: str, *, source: str, stand_ins: Collection[str]) -> bool:
    """Whether no data could cure an error that came up while texts stood in for missing values.

    Syntax errors and unknown names are; a missing file is when the source names it literally.
    """
    said = split_place(message).message
    if found := _FILE.match(said):
        name = PurePosixPath(found[1]).name
        return name not in stand_ins and f'{name}"' in source
    return _SURELY_THE_SOURCE.match(said) is not None
