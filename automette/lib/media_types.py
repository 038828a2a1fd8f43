"""What a file is, told by its first bytes: never by what its sender says of it."""

import re
from typing import Final

UNKNOWN: Final = "application/octet-stream"
_SIGNATURES: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavif", re.DOTALL), "image/avif"),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"\0\x01\0\0|true"), "font/ttf"),
    (re.compile(rb"OTTO"), "font/otf"),
    (re.compile(rb"ttcf"), "font/collection"),
    (re.compile(rb"wOFF"), "font/woff"),
    (re.compile(rb"wOF2"), "font/woff2"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "application/zip"),
    (re.compile(rb"\x1f\x8b\x08"), "application/gzip"),
    (re.compile(rb"\0asm"), "application/wasm"),
)
# Possessive throughout: with backtracking a row of comments would take for ever.
_SVG: Final = re.compile(
    r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:(?><!--.*?-->)\s*+)*+(?:<!DOCTYPE svg[^>]*+>\s*+)?+<svg[\s>]", re.DOTALL
)
_NOT_IN_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_LOOKED_AT: Final = 4096


def media_type_of(content: bytes) -> str:
    """Return the media type: that of a known signature, SVG, plain text (UTF-8), else application/octet-stream."""
    for signature, media_type in _SIGNATURES:
        if signature.match(content) and not (media_type == "font/ttf" and _is_text(content)):
            return media_type
    if not _is_text(content):
        return UNKNOWN
    start = content[:_LOOKED_AT].decode("utf-8-sig", "ignore")
    return "image/svg+xml" if _SVG.match(start) else "text/plain; charset=utf-8"


def _is_text(content: bytes) -> bool:
    if _NOT_IN_TEXT.search(content):
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
