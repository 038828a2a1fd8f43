"""Leave out what LibreOffice would read for nothing: Word saves a hundred table styles with every document.

Only in the copy that is converted: the document that the caller gets keeps them. They take half of the time that
LibreOffice needs to load a quote of one page.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from workers.docx.remembered import Remembered
from workers.docx.xml import W, parse_part, serialise

_STYLES: Final = "word/styles.xml"
_VALUES: Final = re.compile(rb"val\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_tables: Final = Remembered[frozenset[str]](4)
_lightened: Final = Remembered[bytes](4)


def without_unused_table_styles(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """The parts with only those table styles that are the default, or that something may name."""
    lightened = dict(parts)
    if _STYLES in parts:
        tables = _tables.get(parts[_STYLES], _table_styles)
        named = frozenset(value for name, part in parts.items() if name != _STYLES for value in _values(name, part))
        named &= tables
        lightened[_STYLES] = _lightened.get(parts[_STYLES], lambda content: _lighten(content, named), about=named)
    return lightened


def _values(name: str, content: bytes) -> set[str]:
    """Every value that could be the name of a style, whatever names it: too many are kept rather than too few."""
    if not name.endswith(".xml"):
        return set()
    return {(double or single).decode(errors="replace") for double, single in _VALUES.findall(content)}


def _table_styles(content: bytes) -> frozenset[str]:
    root = parse_part(content, _STYLES)
    return frozenset(style.get(W + "styleId", "") for style in root.iter(W + "style") if _is_for_tables(style))


def _is_for_tables(style: Any) -> bool:
    return bool(style.get(W + "type") == "table")


def _lighten(content: bytes, named: frozenset[str]) -> bytes:
    root = parse_part(content, _STYLES)
    tables = {style.get(W + "styleId"): style for style in root.iter(W + "style") if _is_for_tables(style)}
    kept = {
        name for name, style in tables.items() if name in named or style.get(W + "default") in {"1", "true", "on"}
    }
    others = [style for style in root.iter(W + "style") if not _is_for_tables(style)]
    kept |= {name for style in others for name in _mentioned(style) if name in tables}
    while more := {name for one in kept for name in _mentioned(tables[one]) if name in tables} - kept:
        kept |= more
    for name, style in tables.items():
        if name not in kept:
            style.getparent().remove(style)
    return serialise(root)


def _mentioned(style: Any) -> set[str]:
    return {element.get(W + "val") for element in style.iter(W + "basedOn", W + "link", W + "next", W + "tblStyle")}
