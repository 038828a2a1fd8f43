"""A team's own fonts for LibreOffice, which has made its list of fonts before the child's team is known.

They are put into the document that is converted, as Word does with fonts that it embeds: ECMA-376, part 4, 4.1 of the
transitional features (the first 32 bytes are combined with a key that stands beside them). The document that the
caller gets is not changed.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree

from workers.docx.relationships import rels_name
from workers.docx.xml import DEFAULT_TYPE, OVERRIDE_TYPE, PACKAGE_RELATIONSHIP, R, W, parse_part, serialise

_DOCUMENT: Final = "word/document.xml"
_TABLE: Final = "word/fontTable.xml"
_TYPES: Final = "[Content_Types].xml"
_TABLE_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.fontTable+xml"
_FONT_TYPE: Final = "application/vnd.openxmlformats-officedocument.obfuscatedFont"
_RELATIONSHIPS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_EMPTY_RELATIONSHIPS: Final = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
)
_EMPTY_TABLE: Final = b'<w:fonts xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"></w:fonts>'
_KEY: Final = uuid.UUID("6f0a3c52-91d4-4b7e-8a26-5c0e1f7d9b38")
"""Any key does; it only has to stand in the document."""
_KEYED_BYTES: Final = 32
_STYLES: Final = {
    "embedRegular": (400, False),
    "embedBold": (700, False),
    "embedItalic": (400, True),
    "embedBoldItalic": (700, True),
}
_FARTHEST_WEIGHT: Final = 250
"""A face that is farther from the weight wanted does not stand in for it: the program thickens another instead."""


@dataclass(frozen=True, slots=True)
class Face:
    """One font file: its family, its weight (100 to 900), whether it is slanted."""

    family: str
    weight: int
    slanted: bool
    path: Path


def embed_fonts(parts: dict[str, bytes], faces: Iterable[Face], asked: Collection[str]) -> None:
    """Put into the parts of a document those of the fonts that it asks for."""
    wanted = {name.casefold(): name for name in asked}
    chosen = list(_choose([face for face in faces if face.family.casefold() in wanted]))
    if not chosen:
        return
    table = parse_part(parts.get(_TABLE, _EMPTY_TABLE), _TABLE)
    links = parse_part(parts.get(rels_name(_TABLE), _EMPTY_RELATIONSHIPS), _TABLE)
    for number, (style, face) in enumerate(chosen):
        name = f"fonts/team{number}.odttf"
        parts[f"word/{name}"] = _keyed(face.path.read_bytes())
        entry = etree.SubElement(_entry(table, wanted[face.family.casefold()]), W + style)
        entry.set(R + "id", f"team{number}")
        entry.set(W + "fontKey", f"{{{str(_KEY).upper()}}}")
        _link(links, f"team{number}", "font", name)
    parts[rels_name(_TABLE)] = serialise(links)
    _declare(parts, has_table=_TABLE in parts)
    parts[_TABLE] = serialise(table)


def _choose(faces: list[Face]) -> Iterator[tuple[str, Face]]:
    """For each family the best file for each of the four styles that a Word document knows."""
    for family in sorted({face.family for face in faces}):
        for style, (weight, slanted) in _STYLES.items():
            fitting = [face for face in faces if face.family == family and face.slanted == slanted]
            best = min(fitting, key=lambda face: abs(face.weight - weight), default=None)
            if best is not None and abs(best.weight - weight) <= _FARTHEST_WEIGHT:
                yield style, best


def _keyed(font: bytes) -> bytes:
    key = _KEY.bytes[::-1] * (_KEYED_BYTES // len(_KEY.bytes))
    start = bytes(one ^ other for one, other in zip(font, key, strict=False))
    return start + font[_KEYED_BYTES:]


def _entry(table: Any, family: str) -> Any:
    for entry in table.iter(W + "font"):
        if entry.get(W + "name", "").casefold() == family.casefold():
            return entry
    entry = etree.SubElement(table, W + "font")
    entry.set(W + "name", family)
    return entry


def _link(links: Any, name: str, kind: str, target: str) -> None:
    etree.SubElement(links, PACKAGE_RELATIONSHIP, Id=name, Type=_RELATIONSHIPS + kind, Target=target)


def _declare(parts: dict[str, bytes], *, has_table: bool) -> None:
    types = parse_part(parts[_TYPES], _TYPES)
    etree.SubElement(types, DEFAULT_TYPE, Extension="odttf", ContentType=_FONT_TYPE)
    if not has_table:
        etree.SubElement(types, OVERRIDE_TYPE, PartName=f"/{_TABLE}", ContentType=_TABLE_TYPE)
        links = parse_part(parts.get(rels_name(_DOCUMENT), _EMPTY_RELATIONSHIPS), _DOCUMENT)
        _link(links, "teamFonts", "fontTable", "fontTable.xml")
        parts[rels_name(_DOCUMENT)] = serialise(links)
    parts[_TYPES] = serialise(types)
