"""A .docx as its parts: read with limits that hold while inflating, written anew as a plain zip.

Writing anew is part of the cleaning: bytes before, between and after the entries, comments, attributes and
doubtful headers do not survive it.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from workers.docx.recognise import refuse_other_formats
from workers.errors import TemplateError

MAX_UPLOAD_BYTES: Final = 10 << 20
MAX_ENTRIES: Final = 2000
MAX_INFLATED_BYTES: Final = 100 << 20
MAX_RATIO: Final = 100
RATIO_MATTERS_FROM_BYTES: Final = 20 << 20
"""Below this a ratio says nothing: real files hold 11 MB pictures packed 224:1."""

CONTENT_TYPES: Final = "[Content_Types].xml"
_CHUNK = 1 << 16
_CENTRAL_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1
_DAMAGED = "the file is damaged; open it in Word or LibreOffice, save it as .docx and upload it again"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, OverflowError)
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


def read_parts(content: bytes) -> dict[str, bytes]:
    """Every part by its name. Raises TemplateError with a sentence for whoever uploaded the file."""
    if len(content) > MAX_UPLOAD_BYTES:
        raise TemplateError(f"the file is larger than {MAX_UPLOAD_BYTES >> 20} MB; make its pictures smaller")
    refuse_other_formats(content)
    # counted before zipfile makes an object of each
    if content.count(_CENTRAL_ENTRY) > 10 * MAX_ENTRIES:
        raise TemplateError(_too_many())
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read(archive)
    except _UNREADABLE as error:
        raise TemplateError(_DAMAGED) from error


def write_parts(parts: Mapping[str, bytes]) -> bytes:
    """A zip of the parts, the content types first as the format asks. Same parts, same bytes."""
    target = io.BytesIO()
    names = sorted(parts, key=lambda name: (name != CONTENT_TYPES, not name.startswith("_rels/"), name))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _FIRST_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, parts[name])
    return target.getvalue()


def _read(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise TemplateError(_too_many())
    parts: dict[str, bytes] = {}
    seen: set[str] = set()
    left = MAX_INFLATED_BYTES
    for entry in entries:
        if entry.is_dir():
            continue
        _check_entry(entry, seen)
        parts[entry.filename] = _inflate(archive, entry, left)
        left -= len(parts[entry.filename])
    return parts


def _check_entry(entry: zipfile.ZipInfo, seen: set[str]) -> None:
    name = entry.filename
    steps = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in steps[0] or any(step in {"", ".", ".."} for step in steps):
        raise TemplateError(f"the file holds an entry with an unsafe name, {name[:80]!r}; {_save_again()}")
    # names of parts are compared without regard to case, so these two would be one part with two contents
    if name.casefold() in seen:
        raise TemplateError(f"the file holds two entries named {name[:80]!r}; {_save_again()}")
    seen.add(name.casefold())
    if entry.flag_bits & _ENCRYPTED:
        raise TemplateError("the file is encrypted; remove its password and upload it again")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise TemplateError(f"the file is packed in a way that Word does not use; {_save_again()}")


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """The entry's bytes. Sizes are counted as they come out: what the file says of itself is not believed."""
    inflated = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            inflated += chunk
            if len(inflated) > left:
                raise TemplateError(f"the file unpacks to more than {MAX_INFLATED_BYTES >> 20} MB")
            packed = max(entry.compress_size, 1)
            if len(inflated) > RATIO_MATTERS_FROM_BYTES and len(inflated) > MAX_RATIO * packed:
                raise TemplateError(
                    f"the entry {entry.filename[:80]!r} unpacks to more than {MAX_RATIO} times its size"
                )
    return bytes(inflated)


def _too_many() -> str:
    return f"the file holds more than {MAX_ENTRIES} entries; {_save_again()}"


def _save_again() -> str:
    return "open it in Word or LibreOffice and save it again"
