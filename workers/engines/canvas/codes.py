"""QR codes and barcodes as rows of modules, 1 for dark.

Code 128 is ISO/IEC 15417 (sets B and C), EAN and UPC are ISO/IEC 15420. The tables give the widths of bars and spaces
in turn, beginning with a bar.
"""

import codecs
import itertools
import re
from typing import Any, Final

import segno

from workers.errors import TemplateError

_Row = list[int]

for _codec in ("iso-8859-1", "shift_jis", "utf-8"):  # what segno tries; a child cannot import a codec any more
    codecs.lookup(_codec)

_CODE_128_WIDTHS: Final = (
    "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221"
    "223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321"
    "112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131"
    "311123311321331121312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114"
    "122411142112142211241211221114413111241112134111111242121142121241114212124112124211411212421112421211212141"
    "214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232"
)
_CODE_128: Final = [*(_CODE_128_WIDTHS[place : place + 6] for place in range(0, 636, 6)), "2331112"]
"""By code; the last one is the stop pattern, which ends in a bar of its own."""
_TO_C, _TO_B, _START_B, _START_C, _STOP = 99, 100, 104, 105, 106
_RUNS: Final = re.compile(r"(?:\d\d){2,}|.", re.DOTALL)
"""Four digits and more are shorter in set C, in which a character is two of them."""

_DIGITS: Final = ["3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112"]
_MIRRORED: Final = (
    *("LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG"),
    *("LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"),
)
"""Which of the left digits of an EAN-13 are mirrored, by its first digit, which has no bars of its own."""
_EDGE, _MIDDLE = "111", "11111"
_LENGTHS: Final = {"ean13": 13, "ean8": 8, "upca": 12}


def encode_qr(value: str, error_correction: str, margin: int) -> list[_Row]:
    """The modules of a QR code with its quiet zone. Raises TemplateError when the value does not fit."""
    if not value:
        raise TemplateError("is empty")
    try:
        code = segno.make_qr(value, error=error_correction, boost_error=False)
    except (segno.DataOverflowError, UnicodeError) as error:
        raise TemplateError(f"is too long for a QR code with error correction {error_correction}") from error
    return [list(row) for row in code.matrix_iter(border=margin)]


def encode_barcode(value: str, symbology: str, margin: int) -> tuple[_Row, str]:
    """The modules of a barcode with its quiet zones, and its text with the check digit. Raises TemplateError."""
    if symbology == "code128":
        widths, text = _encode_code_128(value), value
    else:
        text = _with_check_digit(value, symbology)
        widths = _encode_ean_8(text) if symbology == "ean8" else _encode_ean_13(text.zfill(13))
    modules = [
        module for module, width in zip(itertools.cycle((1, 0)), widths, strict=False) for _ in range(int(width))
    ]
    quiet = [0] * margin
    return [*quiet, *modules, *quiet], text


def _encode_code_128(value: str) -> str:
    if not value:
        raise TemplateError("is empty")
    if not (value.isascii() and value.isprintable()):
        raise TemplateError("holds a character that Code 128 lacks; it has the letters, digits and signs of ASCII")
    codes: list[int] = []
    in_c: bool | None = None
    for run in _RUNS.findall(value):
        wants_c = len(run) > 1
        if wants_c != in_c:
            start, switch = (_START_C, _TO_C) if wants_c else (_START_B, _TO_B)
            codes.append(start if in_c is None else switch)
            in_c = wants_c
        if wants_c:
            codes.extend(int(run[place : place + 2]) for place in range(0, len(run), 2))
        else:
            codes.append(ord(run) - 32)
    check = codes[0] + sum(place * code for place, code in enumerate(codes))
    return "".join(_CODE_128[code] for code in [*codes, check % 103, _STOP])


def _with_check_digit(value: str, symbology: str) -> str:
    length = _LENGTHS[symbology]
    if not (value.isascii() and value.isdigit() and len(value) in {length - 1, length}):
        raise TemplateError(f"must be {length - 1} or {length} digits for {symbology}")
    digits = [int(digit) for digit in value[: length - 1]]
    check = -sum(digit * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits))) % 10
    if len(value) == length and int(value[-1]) != check:
        raise TemplateError(f"has a wrong check digit: it must end in {check}")
    return f"{value[: length - 1]}{check}"


def _encode_ean_13(text: str) -> str:
    left = [
        _DIGITS[int(digit)][:: -1 if side == "G" else 1]
        for digit, side in zip(text[1:7], _MIRRORED[int(text[0])], strict=True)
    ]
    return "".join([_EDGE, *left, _MIDDLE, *(_DIGITS[int(digit)] for digit in text[7:]), _EDGE])


def _encode_ean_8(text: str) -> str:
    halves = ["".join(_DIGITS[int(digit)] for digit in half) for half in (text[:4], text[4:])]
    return f"{_EDGE}{halves[0]}{_MIDDLE}{halves[1]}{_EDGE}"


def code_rows(layer: dict[str, Any]) -> tuple[list[_Row], str]:
    """The rows of a qr or barcode layer and the text to show below it, "" for none."""
    if layer["type"] == "qr":
        return encode_qr(layer["value"], layer["error_correction"], layer["margin"]), ""
    row, text = encode_barcode(layer["value"], layer["symbology"], layer["margin"])
    return [row], text if layer["show_text"] else ""
