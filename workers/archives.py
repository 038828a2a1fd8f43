"""Zip archives of strangers, read with limits that hold while inflating, whatever an archive says of itself."""

import io
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

from workers.errors import TemplateError

MAX_RATIO: Final = 100
RATIO_MATTERS_FROM_BYTES: Final = 20 << 20
"""Below this a ratio says nothing: real files hold 11 MB pictures packed 224:1."""

_CHUNK: Final = 1 << 16
_CENTRAL_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class ArchiveRules:
    """How much may be in an archive, and what its maker can do about a doubtful one, as the end of a sentence.

    With `links_are_files` a symbolic link counts as a file that holds its target's name, else it is refused.
    """

    max_entries: int
    max_inflated_bytes: int
    remedy: str
    links_are_files: bool = False


def read_entries(content: bytes, rules: ArchiveRules) -> dict[str, bytes]:
    """Every file by its name, folders left out. Raises TemplateError with a sentence for whoever made the archive."""
    # counted before zipfile makes an object of each
    if content.count(_CENTRAL_ENTRY) > 10 * rules.max_entries:
        raise TemplateError(_too_many(rules))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive, rules)
    except _UNREADABLE as error:
        raise TemplateError(f"the file is damaged; {rules.remedy}") from error


def _read(archive: zipfile.ZipFile, rules: ArchiveRules) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > rules.max_entries:
        raise TemplateError(_too_many(rules))
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    left = rules.max_inflated_bytes
    for entry in entries:
        if entry.is_dir():
            continue
        _check_entry(entry, seen, rules)
        files[entry.filename] = _inflate(archive, entry, left, rules)
        left -= len(files[entry.filename])
    return files


def _check_entry(entry: zipfile.ZipInfo, seen: set[str], rules: ArchiveRules) -> None:
    name = entry.filename
    steps = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in steps[0] or any(step in {"", ".", ".."} for step in steps):
        raise TemplateError(f"the file holds an entry with an unsafe name, {name[:80]!r}; {rules.remedy}")
    # some systems compare names without regard to case: these two would be one file with two contents
    if name.casefold() in seen:
        raise TemplateError(f"the file holds two entries named {name[:80]!r}; {rules.remedy}")
    seen.add(name.casefold())
    if entry.flag_bits & _ENCRYPTED:
        raise TemplateError("the file is encrypted; remove its password and upload it again")
    if stat.S_ISLNK(entry.external_attr >> 16) and not rules.links_are_files:
        raise TemplateError(f"the entry {name[:80]!r} is a link, which an archive may not hold; {rules.remedy}")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise TemplateError(f"the file is packed in an unusual way (not Deflate); {rules.remedy}")


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, rules: ArchiveRules) -> bytes:
    """The entry's bytes. Sizes are counted as they come out."""
    inflated = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            inflated += chunk
            if len(inflated) > left:
                raise TemplateError(f"the file unpacks to more than {rules.max_inflated_bytes >> 20} MB")
            packed = max(entry.compress_size, 1)
            if len(inflated) > RATIO_MATTERS_FROM_BYTES and len(inflated) > MAX_RATIO * packed:
                raise TemplateError(
                    f"the entry {entry.filename[:80]!r} unpacks to more than {MAX_RATIO} times its size"
                )
    return bytes(inflated)


def _too_many(rules: ArchiveRules) -> str:
    return f"the file holds more than {rules.max_entries} entries; {rules.remedy}"
