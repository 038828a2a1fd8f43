"""Which fonts a document asks for: by name in its text and styles, or as the fonts of its theme."""

import re
from collections.abc import Mapping
from typing import Any, Final

from workers.docx.remembered import Remembered
from workers.docx.xml import W, parse_part

_PARTS = re.compile(r"word/(document|styles|header[0-9]*|footer[0-9]*|footnotes|endnotes|numbering)\.xml")
_THEME = "word/theme/theme1.xml"
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_SCRIPTS: Final = ("ascii", "hAnsi", "eastAsia", "cs")
_LATIN: Final = frozenset(_SCRIPTS[:2])
_MAX_FONTS, _MAX_NAME = 100, 100

_Mention = tuple[str, str, bool]
"""For which script, the name, and whether it names a font of the theme."""
_mentions: Final = Remembered[frozenset[_Mention]](200)


def fonts_asked(parts: Mapping[str, bytes], *, all_scripts: bool = False) -> tuple[str, ...]:
    """Families, sorted; those of the theme only when something uses the theme's fonts.

    Word names fonts for East Asian and for complex scripts everywhere, used or not: they count with `all_scripts`.
    """
    names: set[str] = set()
    theme_used: set[str] = set()
    for part in filter(_PARTS.fullmatch, parts):
        for script, name, is_of_theme in _mentions.get(parts[part], _scan):
            if all_scripts or script in _LATIN:
                (theme_used if is_of_theme else names).add(name)
    if theme_used and _THEME in parts:
        names |= _theme_fonts(parse_part(parts[_THEME], _THEME), theme_used)
    return tuple(sorted(name for name in names if len(name) <= _MAX_NAME)[:_MAX_FONTS])


def _scan(content: bytes) -> frozenset[_Mention]:
    found: set[_Mention] = set()
    for fonts in parse_part(content, "with the text").iter(W + "rFonts"):
        for script in _SCRIPTS:
            for attribute, is_of_theme in ((script, False), (f"{script}Theme", True)):
                if name := fonts.get(W + attribute):
                    found.add((script, name, is_of_theme))
    return frozenset(found)


def _theme_fonts(root: Any, used: set[str]) -> set[str]:
    found = set()
    for kind in ("major", "minor"):
        if any(name.startswith(kind) for name in used):
            for latin in root.iterfind(f".//{_A}{kind}Font/{_A}latin"):
                found.add(latin.get("typeface", ""))
    return found - {""}
