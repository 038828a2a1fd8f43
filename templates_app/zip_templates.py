"""A Typst template of several files as a zip: the main file, modules it imports, and pictures and data it reads."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from workers.archives import ArchiveRules, read_entries
from workers.errors import TemplateError
from workers.exchange import MAX_FILES, check_files

MAIN: Final = "main.typ"
_RULES: Final = ArchiveRules(
    max_entries=MAX_FILES, max_inflated_bytes=25 << 20, remedy="pack it again as a plain zip"
)
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")
_LEFT_OUT: Final = {"__MACOSX", ".DS_Store", "Thumbs.db", ".git"}
"""What file managers add of themselves, by any step of a name."""
_MOST_NAMED: Final = 5


def is_zip(content: bytes) -> bool:
    """Whether a file is a zip, by how it begins."""
    return content.startswith(_SIGNATURES)


def read_zip(content: bytes) -> tuple[str, dict[str, bytes]]:
    """Return the text of the main file, and the other files by their names. Raises TemplateError.

    The main file is `main.typ`, or the only .typ file at the top. A single folder around everything is taken off.
    Names are composed characters, whatever the sender's file system makes of them.
    """
    entries = read_entries(content, _RULES)
    files = {
        unicodedata.normalize("NFC", name): content
        for name, content in entries.items()
        if _LEFT_OUT.isdisjoint(name.split("/"))
    }
    files = _without_folder(files)
    main = _main_of(files)
    check_files(files)
    return _decoded(main, files.pop(main)), files


def _without_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    tops = {name.partition("/")[0] for name in files}
    if len(tops) != 1 or any("/" not in name for name in files):
        return files
    return {name.partition("/")[2]: content for name, content in files.items()}


def _main_of(files: Mapping[str, bytes]) -> str:
    if MAIN in files:
        return MAIN
    candidates = sorted(name for name in files if "/" not in name and PurePosixPath(name).suffix == ".typ")
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise TemplateError(f"the archive has no {MAIN} at its top")
    raise TemplateError(f"the archive has no {MAIN} at its top, but {_named(candidates)}; call one of them {MAIN}")


def _named(names: Sequence[str]) -> str:
    return ", ".join(name[:80] for name in names[:_MOST_NAMED])


def _decoded(name: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise TemplateError(f"{name} is not UTF-8 text") from error
    if "\0" in text:
        raise TemplateError(f"{name} contains a NUL character")
    return text
