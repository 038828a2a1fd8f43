"""Which fonts a document asks for: by name in its text and styles, or as the fonts of its theme."""

import io
import re
import zipfile
from typing import Any, Final

from workers.docx.xml import W, parse_part

_PARTS = re.compile(r"word/(document|styles|header[0-9]*|footer[0-9]*|footnotes|endnotes|numbering)\.xml")
_THEME = "word/theme/theme1.xml"
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_SCRIPTS: Final = ("ascii", "hAnsi", "eastAsia", "cs")
_MAX_FONTS, _MAX_NAME = 100, 100


def fonts_asked(content: bytes, *, all_scripts: bool = False) -> tuple[str, ...]:
    """Families, sorted; those of the theme only when something uses the theme's fonts.

    Word names fonts for East Asian and for complex scripts everywhere, used or not: they count with `all_scripts`.
    """
    kinds = _SCRIPTS if all_scripts else _SCRIPTS[:2]
    names: set[str] = set()
    theme_used: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.namelist()
        for part in filter(_PARTS.fullmatch, parts):
            for fonts in parse_part(archive.read(part), part).iter(W + "rFonts"):
                names.update(filter(None, (fonts.get(W + kind) for kind in kinds)))
                theme_used.update(filter(None, (fonts.get(f"{W}{kind}Theme") for kind in kinds)))
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
