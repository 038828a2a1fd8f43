"""Facts read from a PDF that Typst wrote, without parsing all of it (under 0.1 ms for an invoice).

Typst writes a classic cross-reference table and leaves dictionaries uncompressed, so the way trailer -> catalogue ->
page tree can be followed by offsets; a text on a page cannot be mistaken for it.
"""

import re
from collections.abc import Mapping

_TAIL_BYTES = 2048
_START = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*$")
_ROOT = re.compile(rb"/Root (\d+) 0 R")
_PAGES = re.compile(rb"/Pages (\d+) 0 R")
_COUNT = re.compile(rb"/Count (\d+)")
_SECTION = re.compile(rb"xref\s+0 (\d+)\s*\n")
_FONT_NAME = re.compile(rb"/FontName/(?:[A-Z]{6}\+)?([^\s/<>\[\]()]+)")
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_ENTRY_BYTES = 20
_OBJECT_BYTES = 4096


class UnreadablePdfError(Exception):
    """The bytes are not laid out as Typst lays out a PDF."""


def count_pages(pdf: bytes) -> int:
    """The number of pages. Raises UnreadablePdfError."""
    trailer = pdf[-_TAIL_BYTES:].rpartition(b"trailer")[2]
    section = _SECTION.match(pdf, int(_find(_START, trailer)))
    if section is None:
        raise UnreadablePdfError("there is no cross-reference table")
    catalogue = _object(pdf, section.end(), int(_find(_ROOT, trailer)))
    pages = _object(pdf, section.end(), int(_find(_PAGES, catalogue)))
    return int(_find(_COUNT, pages))


def embedded_fonts(pdf: bytes, families: Mapping[str, str]) -> tuple[str, ...]:
    """The families of the embedded fonts, sorted. `families` maps what `family_key` gives to the family's name."""
    names = {_ESCAPE.sub(_unescaped, name).decode("latin-1") for name in _FONT_NAME.findall(pdf)}
    return tuple(sorted({families.get(family_key(name), name) for name in names}))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)])


def family_key(name: str) -> str:
    """Reduce a family or a PostScript name to what they have in common: `SourceSans3-Bold`, `Source Sans 3`."""
    key = name.partition("-")[0].replace(" ", "").casefold()
    return _OTHER_NAMES.get(key, key)


_OTHER_NAMES = {"newcm10": "newcomputermodern", "newcmmath": "newcomputermodernmath"}


def _find(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    if found is None:
        raise UnreadablePdfError(f"{pattern.pattern!r} was not found")
    return found[1]


def _object(pdf: bytes, table: int, number: int) -> bytes:
    offset = pdf[table + number * _ENTRY_BYTES : table + number * _ENTRY_BYTES + 10]
    if not offset.isdigit():
        raise UnreadablePdfError("the cross-reference table is damaged")
    start = int(offset)
    return pdf[start : start + _OBJECT_BYTES].partition(b"endobj")[0]
