"""Hostile font files, made by damaging good ones. Each must be refused or do no harm, in every engine.

The good ones lie in the package of fonts that this project installs: Lato (TrueType outlines) and XCharter (CFF).
"""

import functools
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import rendercv_fonts

Tables = dict[bytes, bytes]
_FOLDER: Final = Path(rendercv_fonts.__file__).parent
_COMPOSITE: Final = -1
_MORE_COMPONENTS, _WORDS = 0x20, 0x01


@functools.cache
def lato() -> bytes:
    return (_FOLDER / "Lato" / "Lato-Regular.ttf").read_bytes()


@functools.cache
def charter() -> bytes:
    return (_FOLDER / "XCharter" / "XCharter-Bold.otf").read_bytes()


def directory(font: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """(place of the entry, tag, offset, length) of each table."""
    for number in range(struct.unpack(">H", font[4:6])[0]):
        place = 12 + 16 * number
        tag, _, offset, length = struct.unpack(">4s3I", font[place : place + 16])
        yield place, tag, offset, length


def tables(font: bytes) -> Tables:
    return {tag: font[offset : offset + length] for _, tag, offset, length in directory(font)}


def built(parts: Tables, version: bytes = b"\0\1\0\0") -> bytes:
    """A font file of these tables, with right checksums."""
    head = struct.pack(">4s4H", version, len(parts), 0, 0, 0)
    offset, entries, body = len(head) + 16 * len(parts), b"", b""
    for tag, content in sorted(parts.items()):
        padded = content + bytes(-len(content) % 4)
        checksum = sum(struct.unpack(f">{len(padded) // 4}I", padded)) & 0xFFFFFFFF
        entries += struct.pack(">4s3I", tag, checksum, offset + len(body), len(content))
        body += padded
    return head + entries + body


def changed(tag: bytes, change: Callable[[bytes], bytes], font: bytes | None = None) -> bytes:
    font = font or lato()
    parts = tables(font)
    parts[tag] = change(parts[tag])
    return built(parts, font[:4])


def patched(content: bytes, offset: int, new: bytes) -> bytes:
    return content[:offset] + new + content[offset + len(new) :]


def without(*tags: bytes) -> bytes:
    return built({tag: content for tag, content in tables(lato()).items() if tag not in tags})


def with_directory(change: Callable[[int, int], tuple[int, int]], only: bytes = b"") -> bytes:
    """The font with other offsets and lengths of tables: of all of them, or of one."""
    font = lato()
    for place, tag, offset, length in list(directory(font)):
        if only in {b"", tag}:
            font = patched(font, place + 8, struct.pack(">2I", *change(offset, length)))
    return font


def named(*names: str) -> bytes:
    """The font with other names for its family (1, 16), its style and all of itself; one name is used for all."""
    strings = [name.encode("utf-16-be", "surrogatepass")[:65_000] for name in names]
    records, storage = b"", b""
    for number, kind in enumerate((1, 2, 4, 6, 16)):
        text = strings[number % len(strings)]
        records += struct.pack(">6H", 3, 1, 0x409, kind, len(text), len(storage))
        storage += text
        if len(storage) > 0xFFFF - 65_000:
            break
    count = len(records) // 12
    return changed(b"name", lambda _: struct.pack(">3H", 0, count, 6 + len(records)) + records + storage)


def composite_of(components: Callable[[int, int], list[int]]) -> bytes:
    """Every glyph made of those that the function names for (its number, how many there are)."""
    parts = tables(lato())
    count = struct.unpack(">H", parts[b"maxp"][4:6])[0]
    glyphs, places = b"", [0]
    for glyph in range(count):
        used = components(glyph, count)
        flags = [_WORDS | (_MORE_COMPONENTS if number + 1 < len(used) else 0) for number in range(len(used))]
        body = b"".join(struct.pack(">2H2h", flag, each, 1, 1) for flag, each in zip(flags, used, strict=True))
        glyphs += struct.pack(">5h", _COMPOSITE, 0, 0, 1000, 1000) + body
        glyphs += bytes(-len(glyphs) % 4)
        places.append(len(glyphs))
    parts[b"glyf"], parts[b"loca"] = glyphs, struct.pack(f">{count + 1}I", *places)
    parts[b"head"] = patched(parts[b"head"], 50, struct.pack(">h", 1))
    return built(parts)


def _index(content: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    """The (start, end) of each item of a CFF INDEX, and where it ends."""
    count = struct.unpack(">H", content[at : at + 2])[0]
    if not count:
        return [], at + 2
    size = content[at + 2]
    first = at + 3
    marks = [int.from_bytes(content[first + size * n : first + size * (n + 1)]) for n in range(count + 1)]
    base = first + size * (count + 1) - 1
    return [(base + one, base + other) for one, other in itertools.pairwise(marks)], base + marks[-1]


def _operands(dictionary: bytes, wanted: int) -> list[int]:
    """What stands before an operator in a CFF DICT, whole numbers only."""
    found: list[int] = []
    place = 0
    while place < len(dictionary):
        first = dictionary[place]
        if first <= 21:
            if first == wanted:
                return found
            found, place = [], place + (2 if first == 12 else 1)
        elif first == 30:
            place += 1
            while 0xF not in (dictionary[place] >> 4, dictionary[place] & 0xF):
                place += 1
            place += 1
        else:
            size = {28: 3, 29: 5}.get(first, 1 if first < 247 else 2)
            coded = dictionary[place + (size > 2) : place + size]
            if size > 2:
                found.append(int.from_bytes(coded, signed=True))
            elif size == 1:
                found.append(first - 139)
            else:
                found.append((first - 247) * 256 + coded[1] + 108 if first < 251 else 0)
            place += size
    return []


def cff_that_calls_itself() -> bytes:
    """Every glyph calls the subroutine that calls itself; they are overwritten in their places."""
    font = charter()
    cff = bytearray(tables(font)[b"CFF "])
    _, at = _index(cff, cff[2])
    tops, at = _index(cff, at)
    top = bytes(cff[slice(*tops[0])])
    private_size, private_at = _operands(top, 18)
    private = bytes(cff[private_at : private_at + private_size])
    subroutines, _ = _index(cff, private_at + _operands(private, 19)[0])
    glyphs, _ = _index(cff, _operands(top, 17)[0])
    bias = 107 if len(subroutines) < 1240 else 1131
    target = next(n for n, (start, end) in enumerate(subroutines) if end - start >= 4)
    call = b"\x1c" + struct.pack(">h", target - bias) + b"\x0a"
    for start, end in [*glyphs, *subroutines]:
        if end - start >= 4:
            cff[start:end] = call + b"\x0b" * (end - start - 4)
    parts = tables(font)
    parts[b"CFF "] = bytes(cff)
    return built(parts, b"OTTO")


def collection(*fonts: bytes) -> bytes:
    """A TTC; offsets of tables count from the beginning of the file."""
    body, places = b"", []
    start = 12 + 4 * len(fonts)
    for font in fonts:
        place = start + len(body)
        places.append(place)
        for entry, _, offset, length in list(directory(font)):
            font = patched(font, entry + 8, struct.pack(">2I", offset + place, length))  # noqa: PLW2901
        body += font + bytes(-len(font) % 4)
    return struct.pack(">4s2HI", b"ttcf", 1, 0, len(fonts)) + struct.pack(f">{len(fonts)}I", *places) + body


def endless_cmap(_: bytes) -> bytes:
    """One group that maps every character there could be, a format 12 table that lies about how many it has."""
    table = struct.pack(">2H3I", 12, 0, 28, 0, 0x0FFFFFFF) + struct.pack(">3I", 0, 0xFFFFFFFF, 1)
    return struct.pack(">2H2HI", 0, 1, 3, 10, 12) + table


def woff() -> bytes:
    font = lato()
    packed = zlib.compress(font)
    return struct.pack(">4s4sI2HI2H5I", b"wOFF", font[:4], len(packed) + 44, 1, 0, len(font), 1, 0, *[0] * 5) + packed


Make = Callable[[], bytes]
_CUTS: Final = (4, 11, 12, 100, 1000)
UNREADABLE: Final[Mapping[str, Make]] = {
    "name of half a pair": lambda: named("A\ud800"),
    "no unit in an em": lambda: changed(b"head", lambda table: patched(table, 18, b"\0\0")),
    "1 unit in an em": lambda: changed(b"head", lambda table: patched(table, 18, b"\0\1")),
    "no glyphs": lambda: changed(b"maxp", lambda table: patched(table, 4, b"\0\0")),
    "all tables on one place": lambda: with_directory(lambda _, length: (1000, length)),
    "empty": lambda: b"",
    "HTML called TTF": lambda: b"<!doctype html><script>alert(1)</script>",
    "zip called TTF": lambda: b"PK\3\4" + bytes(100),
    "WOFF called TTF": woff,
    "WOFF2 called TTF": lambda: b"wOF2\0\1\0\0" + bytes(100),
    "Type 1 called TTF": lambda: b"%!PS-AdobeFont-1.0: x\n/FontName /x def\n",
    "SVG called TTF": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><font/></svg>',
    "60 MB of zeros": lambda: b"\0\1\0\0" + bytes(60 << 20),
    "65 535 tables that are not there": lambda: b"\0\1\0\0\xff\xff" + bytes(6),
    **{f"cut after {count} bytes": (lambda count=count: lato()[:count]) for count in _CUTS},
    "tables beyond the end": lambda: with_directory(lambda offset, length: (offset + (1 << 30), length)),
    "lengths of 4 GB": lambda: with_directory(lambda offset, _: (offset, 0xFFFFFFFF)),
    "offsets that overflow": lambda: with_directory(lambda *_: (0xFFFFFFF0, 0xFFFFFFF0)),
    "without names": lambda: without(b"name"),
    "without a head": lambda: without(b"head", b"hhea", b"maxp"),
    "name of 64 kB": lambda: named("A" * 32_000),
    "name with control characters": lambda: named("Evil\0\n\x1b[31m\u202e"),
}
"""No family may come out of these: an upload is refused."""

ODD: Final[Mapping[str, Make]] = {
    "collection": lambda: collection(lato(), lato()),
    "without a character map": lambda: without(b"cmap"),
    "one byte missing": lambda: lato()[:-1],
    "a quarter of it": lambda: lato()[: len(lato()) // 4],
    "half of it": lambda: lato()[: len(lato()) // 2],
    "outlines beyond the end": lambda: with_directory(lambda _, length: (1 << 30, length), b"glyf"),
    "outlines of 4 GB": lambda: with_directory(lambda offset, _: (offset, 0xFFFFFFFF), b"glyf"),
    "without outlines": lambda: without(b"glyf", b"loca"),
    "65 535 glyphs that are not there": lambda: changed(b"maxp", lambda table: patched(table, 4, b"\xff\xff")),
    "everything at its most": lambda: changed(b"maxp", lambda table: table[:6] + b"\xff" * (len(table) - 6)),
    "places of glyphs out of order": lambda: changed(b"loca", lambda table: b"\xff\xff\0\0" * (len(table) // 4)),
    "glyph that is made of itself": lambda: composite_of(lambda glyph, _: [glyph]),
    "glyphs that are made of each other": lambda: composite_of(lambda glyph, count: [(glyph + 1) % count] * 2),
    "glyphs that double": lambda: composite_of(lambda glyph, count: [min(glyph + 1, count - 1)] * 8),
    "subroutine that calls itself": cff_that_calls_itself,
    "CFF of noise": lambda: changed(
        b"CFF ", lambda table: table[:100] + bytes(n * n % 251 for n in range(len(table) - 100)), charter()),
    "character map without end": lambda: changed(b"cmap", endless_cmap),
    "widths at their most": lambda: changed(b"hmtx", lambda table: b"\x7f\xff" * (len(table) // 2)),
    "heights at their most": lambda: changed(b"hhea", lambda table: patched(table, 4, b"\x7f\xff\x80\x00\x7f\xff")),
    "programs of noise": lambda: built({**tables(lato()), b"fpgm": b"\x1c" * 60_000, b"prep": b"\x1c" * 60_000}),
    "features of noise": lambda: built(
        {**tables(lato()), b"GSUB": b"\0\1\0\0" + bytes(n * 7 % 256 for n in range(50_000)),
         b"GPOS": b"\xff" * 5000}),
    "SVG with addresses": lambda: built({**tables(lato()), b"SVG ": svg_table()}),
    "palettes of noise": lambda: built({**tables(lato()), b"COLR": b"\0\1" + b"\xff" * 60, b"CPAL": b"\xff" * 60}),
    "name like a path": lambda: named("../../../../etc/passwd"),
    "name like code": lambda: named('"); #read("/etc/passwd'),
    "name like a mark of Word": lambda: named("</w:t>{{ 7 * 7 }}<x>"),
}  # fmt: skip
"""A family may come out of these; text in it may be drawn, wrong, or refused, and that is all."""

HOSTILE: Final = {**UNREADABLE, **ODD}


def hostile_font(name: str, port: int) -> bytes:
    """A font whose addresses are those of a port on which the test listens."""
    return HOSTILE[name]().replace(b"PORTS", b"%05d" % port)


def svg_table() -> bytes:
    """A drawing for every glyph, with an address in it and something that multiplies."""
    drawing = (
        b'<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:PORTS/x.png"/>'
        b'<image href="/etc/passwd"/>'
        b"<text>&b;</text></svg>"
    )
    documents = struct.pack(">H", 1) + struct.pack(">2H2I", 0, 0xFFFF, 14, len(drawing)) + drawing
    return struct.pack(">H2I", 0, 10, 0) + documents
