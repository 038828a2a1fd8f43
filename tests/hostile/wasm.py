"""WebAssembly modules by hand, each as small as it can be: plugins that a template brings along."""

from typing import Final

_I32: Final = 0x7F
_NO_ARGUMENTS: Final = bytes((0x60, 0, 1, _I32))
_TWO_ARGUMENTS: Final = bytes((0x60, 2, _I32, _I32, 0))
_NOTHING: Final = bytes((0x60, 0, 0))
_FOUR_GIGABYTES: Final = 65_536
_SPIN: Final = bytes((0x03, 0x40, 0x0C, 0, 0x0B))  # loop br 0 end
_ZERO: Final = bytes((0x41, 0))  # i32.const 0
_SEND: Final = "wasm_minimal_protocol_send_result_to_host"


def _number(value: int) -> bytes:
    """LEB128 without a sign."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def _text(value: str) -> bytes:
    return _number(len(value)) + value.encode()


def _section(kind: int, *items: bytes) -> bytes:
    content = _number(len(items)) + b"".join(items)
    return bytes((kind,)) + _number(len(content)) + content


def _module(code: bytes, *, pages: int = 1, imported: tuple[str, str] | None = None, at_start: bool = False) -> bytes:
    """A module whose function `f` is `code`; `pages` of 64 kB are its memory from the beginning."""
    body = b"\0" + code + b"\x0b"
    own = 1 if imported else 0
    sections = [_section(1, _NO_ARGUMENTS, _TWO_ARGUMENTS, _NOTHING)]
    if imported:
        sections.append(_section(2, _text(imported[0]) + _text(imported[1]) + b"\0\1"))
    sections += [
        _section(3, b"\2" if at_start else b"\0"),
        _section(5, b"\0" + _number(pages)),
        _section(7, _text("f") + b"\0" + _number(own), _text("memory") + b"\2\0"),
    ]
    if at_start:
        sections.append(bytes((8, 1, own)))
    sections.append(_section(10, _number(len(body)) + body))
    return b"\0asm\1\0\0\0" + b"".join(sections)


_GROW: Final = bytes(
    (0x03, 0x40, 0x41, 0x80, 0x02, 0x40, 0, 0x1A, 0x0C, 0, 0x0B)
)  # memory.grow by 256 pages for ever
_LIE: Final = _ZERO + b"\x41\x7f" + b"\x10\0" + _ZERO  # the result is 4 GB long, says f

MODULES: Final = {
    "spin.wasm": _module(_SPIN + _ZERO),
    "start.wasm": _module(_SPIN, at_start=True),
    "grow.wasm": _module(_GROW + _ZERO),
    "wants.wasm": _module(_ZERO, pages=_FOUR_GIGABYTES),
    "recurse.wasm": _module(bytes((0x10, 0))),
    "wasi.wasm": _module(_ZERO, imported=("wasi_snapshot_preview1", "path_open")),
    "liar.wasm": _module(_LIE, imported=("typst_env", _SEND)),
}
