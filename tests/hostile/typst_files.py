"""The files that hostile templates bring along, by name. Made here, because most are large and say little."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, PngImagePlugin

from tests.hostile.wasm import MODULES

_DEPTH: Final = 100_000
_XMLNS: Final = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def _xml_bomb(root: str, attributes: str = "") -> bytes:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(10))
    return f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><{root} {attributes}>&e10;</{root}>'.encode()


def _yaml_bomb() -> bytes:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


def _svg(body: str, size: str = 'width="9" height="9"') -> bytes:
    return f'<svg {_XMLNS} {size}>{body}<rect width="5" height="5" fill="#00f"/></svg>'.encode()


def _svg_of_uses() -> bytes:
    """10^9 rectangles by reference."""
    groups = "".join(f'<g id="g{n}">{f"""<use xlink:href="#g{n - 1}"/>""" * 10}</g>' for n in range(1, 10))
    return _svg(f'<defs><g id="g0"><rect width="1" height="1"/></g>{groups}</defs><use xlink:href="#g9"/>')


def png(width: int, height: int, packed: bytes, *, depth: int = 8, color_type: int = 0) -> bytes:
    """A PNG by hand, as no library would write it; `packed` are the deflated rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zeros, deflated a million at a time."""
    packer = zlib.compressobj(9)
    million = bytes(1_000_000)
    packed = [packer.compress(million) for _ in range(count // len(million))]
    return b"".join((*packed, packer.compress(bytes(count % len(million))), packer.flush()))


def _text_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    for number in range(20):
        info.add_text(f"k{number}", "x" * 1_000_000, zip=True)
    target = io.BytesIO()
    Image.new("RGB", (9, 9), "blue").save(target, "PNG", pnginfo=info)
    return target.getvalue()


def _gif_bomb() -> bytes:
    target = io.BytesIO()
    Image.new("P", (9_000, 9_000)).save(target, "GIF")
    return target.getvalue()


def _pdf_of_itself() -> bytes:
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Count 9/Kids[2 0 R]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    )


FILES: Final[Mapping[str, Callable[[], bytes]]] = {
    **{name: (lambda content=content: content) for name, content in MODULES.items()},
    "laughs.xml": lambda: _xml_bomb("a"),
    "laughs.svg": lambda: _xml_bomb("svg", _XMLNS + ' width="9" height="9"'),
    "laughs.yaml": _yaml_bomb,
    "outside.xml": lambda: b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    "wide.csv": lambda: b"," * 8_000_000,
    "deep.toml": lambda: b"a = " + b"[" * _DEPTH + b"]" * _DEPTH,
    "deep.json": lambda: b"[" * _DEPTH + b"]" * _DEPTH,
    "deep.yaml": lambda: b"[" * _DEPTH + b"]" * _DEPTH,
    "deep.cbor": lambda: b"\x81" * _DEPTH + b"\0",
    "lies.cbor": lambda: b"\x9b" + b"\x7f" + b"\xff" * 7,
    "refs.yml": lambda: b"a:\n  type: book\n  title: T\n  author: A\n",
    "bomb.bib": lambda: b"@string{s0 = {ha}}" + b"".join(
        b"@string{s%d = %s}" % (n, b" # ".join([b"s%d" % (n - 1)] * 10)) for n in range(1, 10)
    ) + b"@book{a, title = s9, author = {A}, year = 2000}",
    "outside.csl": lambda: b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<style xmlns="http://purl.org/net/xbiblio/csl" class="in-text" version="1.0"><info><title>&e;</title>'
    b'<id>x</id><link href="http://127.0.0.1:PORT/p.csl" rel="independent-parent"/></info></style>',
    "outside.svg": lambda: _svg(
        '<image xlink:href="file:///etc/passwd" width="9" height="9"/>'
        '<image href="http://127.0.0.1:PORT/x.png" width="9" height="9"/>'
        '<image href="/etc/hostname" width="9" height="9"/>'
        "<style>@import url(http://127.0.0.1:PORT/a.css);</style><script>alert(1)</script>"
    ),
    "itself.svg": lambda: _svg('<g id="a"><use xlink:href="#a"/></g>'),
    "kilometres.svg": lambda: _svg("", 'width="1e30" height="1e30"'),
    "uses.svg": _svg_of_uses,
    "filter.svg": lambda: _svg('<filter id="f"><feGaussianBlur stdDeviation="1e9"/>'
                       '<feTurbulence numOctaves="999999999"/></filter>'
                       '<rect width="30000" height="30000" filter="url(#f)"/>', 'width="30000" height="30000"'),
    "bomb.svgz": lambda: gzip.compress(b"<svg>" + b" " * 100_000_000, 6),
    "bomb.png": lambda: png(60_000, 60_000, zeros(60_000 * 2000)),
    "lies.png": lambda: png(60_000, 60_000, b"\0" * 100),
    "wide.png": lambda: png(4000, 4000, zeros(4000 * 4001)),
    "text.png": _text_png,
    "bomb.gif": _gif_bomb,
    "broken.pdf": _pdf_of_itself,
    "latin1.typ": lambda: b"caf\xe9 \xff\xfe\x00",
}  # fmt: skip
