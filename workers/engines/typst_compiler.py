"""The compiler of the engines built on Typst, and the fonts that it sets text in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typst

from workers.engines.needs import FONTS, ROOT, font_folders
from workers.engines.pdf import family_key


@dataclass(frozen=True, slots=True)
class InstalledFonts:
    """`book` is what a compiler takes; `families` maps what `family_key` gives to the family's name."""

    book: typst.Fonts
    families: Mapping[str, str]


def load_fonts(folders: Sequence[str], *, embedded: bool = True) -> InstalledFonts:
    """Read the fonts in these folders (12 ms for 60), after which come those that Typst brings along."""
    book = typst.Fonts(include_system_fonts=False, include_embedded_fonts=embedded, font_paths=list(folders))
    return InstalledFonts(book, {family_key(family): family for family in book.families()})


def with_team_fonts(fonts: InstalledFonts, folders: Sequence[str], slot: str) -> InstalledFonts:
    """The fonts of `folders`, which have been read, with those in a slot before them where there are any."""
    own = font_folders(f"{slot}/{FONTS}")
    return load_fonts([*own, *folders]) if own else fonts


def make_compiler(slot: str, fonts: InstalledFonts, package_path: str) -> Any:
    """A compiler that sees the files of a slot. Typst's annotations do not know virtual files, hence Any."""
    return typst.Compiler(
        root=Path(slot, ROOT),
        font_paths=fonts.book,
        package_path=Path(package_path),
        package_cache_path=Path(package_path),
    )
