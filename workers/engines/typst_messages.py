"""Typst's diagnostics, turned into sentences about the caller's source, without a path of this machine."""

import re
from dataclasses import dataclass
from typing import Protocol

MAIN_FILE = "main.typ"
DATA_FILE = ".automette/data.json"
PRELUDE_LINES = 1
"""Lines that stand before the caller's source in the main file."""

MAX_MESSAGE_CHARACTERS = 2000
MAX_WARNINGS = 50

_PLACE = re.compile(r"^ *┌─ (.+):(\d+):(\d+)$", re.MULTILINE)
_MISSING_PACKAGE = re.compile(r"package not found \(searched for (@[^)]+)\)")
_FAILED_DOWNLOAD = re.compile(
    r"failed to download package \(https?://[^/]+/([^/\s]+)/([^\s:]+)-([0-9.]+)\.tar\.gz.*", re.DOTALL
)
_SEARCHED = re.compile(r" ?\(searched at ([^)\n]*)\)?")
_OCCURRED = re.compile(r" ?\(occurred at [^)\n]*\)?")
_USELESS_HINTS = ("--root", "report this as a bug")
_INTERNAL = "internal error"
_NO_MEMORY = ("Cannot allocate memory", "memory allocation", "capacity overflow")


class Diagnostic(Protocol):
    """What typst-py's errors and warnings have in common."""

    message: str
    diagnostic: str
    hints: list[str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`line` and `column` count from 1; they are those of the file that the message names, else of the source."""

    message: str
    line: int | None
    column: int | None
    hints: tuple[str, ...]


def explain(diagnostic: Diagnostic, root: str) -> Explanation:
    """Say what is wrong and where. `root` is the folder that the message must not show."""
    message, hints = _reword(diagnostic.message, root)
    hints += [_scrub(hint, root) for hint in diagnostic.hints if not any(word in hint for word in _USELESS_HINTS)]
    file, line, column = _place(diagnostic.diagnostic)
    if file == DATA_FILE:  # its lines are not the author's, who may have sent it as one
        message, line, column = f"data: {message}", None, None
    elif line is not None:
        where = f"line {line}, column {column}"
        message = f"{where}: {message}" if file == MAIN_FILE else f"{file}, {where}: {message}"
    return Explanation(message[:MAX_MESSAGE_CHARACTERS], line, column, tuple(hints))


def is_internal(message: str) -> bool:
    """Whether Typst blames itself rather than the template."""
    return message.startswith(_INTERNAL)


def is_memory(message: str) -> bool:
    """Whether a panic was caused by the memory limit."""
    return any(sign in message for sign in _NO_MEMORY)


def _place(diagnostic: str) -> tuple[str, int | None, int | None]:
    found = _PLACE.search(diagnostic)
    if found is None:
        return MAIN_FILE, None, None
    file, line, column = found[1], int(found[2]), int(found[3]) + 1  # Typst counts columns from 0
    if file != MAIN_FILE:
        return file, line, column
    line -= PRELUDE_LINES
    return (file, line, column) if line > 0 else (file, None, None)


def _reword(message: str, root: str) -> tuple[str, list[str]]:
    package = _missing_package(message)
    if package:
        hint = "packages are not downloaded; ask the operator to install it, or add its files to the template"
        return f"package {package} is not installed on this server", [hint]
    return _scrub(message, root), []


def _missing_package(message: str) -> str | None:
    if found := _MISSING_PACKAGE.search(message):
        return found[1]
    if found := _FAILED_DOWNLOAD.search(message):
        return f"@{found[1]}/{found[2]}:{found[3]}"
    return None


def _scrub(message: str, root: str) -> str:
    message = message.replace(root + "/", "").replace(root, "the template's folder")
    return _OCCURRED.sub("", _SEARCHED.sub(_name_what_was_searched, message))


def _name_what_was_searched(found: re.Match[str]) -> str:
    """Keep a path inside the template's folder, which the author knows, and drop any other."""
    return "" if found[1].startswith("/") else f": {found[1]}"
