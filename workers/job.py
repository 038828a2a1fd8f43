"""What a render is made from and what comes out. Plain values: no database, no network, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """What one render may use. Pixels are those of the returned image, width times height."""

    wall_seconds: float = 25
    memory_bytes: int = 1 << 30
    max_pages: int = 500
    max_output_bytes: int = 50 << 20
    max_pixels: int = 40_000_000


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One document to make.

    `source` is Typst, a Canvas document in JSON, or the bytes of a Word file. `data` is JSON exactly as the caller
    sent it. `files` are offered to the template under their relative paths (modules, images); a Path is a file that
    never changes, named by the SHA-256 of its content. `fonts` are such files as well, besides the ones that every
    template has. `remote` tells of each http(s) address that the template asked for where its file is, or in a
    sentence why there is none. `options` depend on engine and format: `engines/registry.py` knows where they are
    listed.
    """

    source: str | bytes
    data: bytes = b"{}"
    format: str = "pdf"
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    fonts: tuple[Path, ...] = ()
    remote: Mapping[str, Path | str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file of a finished document."""

    content: bytes
    media_type: str
    extension: str


@dataclass(frozen=True, slots=True)
class RenderedDocument:
    """A finished document: one file, or a PDF and the Word file that it was made from.

    `fonts_asked` are the families that the source names literally. `fonts_used` are those embedded in a PDF; images
    name no fonts, so for them it holds the asked families that are installed. `standards` are those that a PDF
    declares. `found` is what an inspection found out instead of rendering: the `fields` of a Word file, the
    `families` of a font.
    """

    files: tuple[RenderedFile, ...]
    pages: int
    warnings: tuple[str, ...] = ()
    fonts_asked: tuple[str, ...] = ()
    fonts_used: tuple[str, ...] = ()
    standards: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.files[0].content

    @property
    def media_type(self) -> str:
        return self.files[0].media_type

    @property
    def extension(self) -> str:
        return self.files[0].extension
