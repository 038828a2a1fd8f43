"""Which fonts a document asks for: by name in its text and styles, or as the fonts of its theme."""

import io
import re
import zipfile
from typing import Any, Final

from workers.docx.xml import W, parse_part

_PARTS = re.compile(r"word/(document|styles|header[0-9]*|footer[0-9]*|footnotes|endnotes|numbering)\.xml")
_THEME = "word/theme/theme1.xml"
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MAX_FONTS, _MAX_NAME = 100, 100


def fonts_asked(content: bytes) -> tuple[str, ...]:
    """Families, sorted; those of the theme only when something uses the theme's fonts."""
    names: set[str] = set()
    theme_used: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.namelist()
        for part in filter(_PARTS.fullmatch, parts):
            for fonts in parse_part(archive.read(part), part).iter(W + "rFonts"):
                names.update(filter(None, (fonts.get(W + "ascii"), fonts.get(W + "hAnsi"))))
                theme_used.update(filter(None, (fonts.get(W + "asciiTheme"), fonts.get(W + "hAnsiTheme"))))
        if theme_used and _THEME in parts:
            names |= _theme_fonts(parse_part(archive.read(_THEME), _THEME), theme_used)
    return tuple(sorted(name for name in names if len(name) <= _MAX_NAME)[:_MAX_FONTS])


def _theme_fonts(root: Any, used: set[str]) -> set[str]:
    found = set()
    for kind in ("major", "minor"):
        if any(name.startswith(kind) for name in used):
            for latin in root.iterfind(f".//{_A}{kind}Font/{_A}latin"):
                found.add(latin.get("typeface", ""))
    return found - {""}
