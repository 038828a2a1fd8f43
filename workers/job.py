"""What a render is made from and what comes out. Plain values: no database, no network, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    `data` is JSON exactly as the caller sent it. `files` are offered to the template under their relative paths
    (modules, images). `source` is Typst or a Canvas document in JSON. `options` depend on engine and
    format: `engines/typst_options.py`, `engines/canvas/options.py`.
    """

    source: str
    data: bytes = b"{}"
    format: str = "pdf"
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class RenderedDocument:
    """A finished document.

    `fonts_asked` are the families that the source names literally. `fonts_used` are those embedded in a PDF; images
    name no fonts, so for them it holds the asked families that are installed.
    """

    content: bytes
    media_type: str
    extension: str
    pages: int
    warnings: tuple[str, ...] = ()
    fonts_asked: tuple[str, ...] = ()
    fonts_used: tuple[str, ...] = ()
