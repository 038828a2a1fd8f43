"""Images and rich text as JSON values, because only JSON comes in. Wrong ones are refused with what was expected.

    {"image": "logo.png", "width": "40mm", "height": "2cm", "alt": "Our logo"}      an asset's name or a data URI
    {"richtext": ["plain ", {"text": "bold", "bold": true, "color": "#c00000"}]}    runs, in order

While the template is filled in, a mark stands for such a value: a number between two characters that no text may
hold. So nothing but escaped text is ever printed into XML; elements are made afterwards, in the tree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workers.errors import TemplateError

MARK_START: Final = "\ufdd0"
MARK_END: Final = "\ufdd1"
MARK: Final = re.compile(f"{MARK_START}([0-9]+){MARK_END}")
_NOT_XML = re.compile(f"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[{MARK_START}-{MARK_END}]")

EMU_PER_MM: Final = 36_000
_EMU: Final = {"mm": EMU_PER_MM, "cm": 360_000, "in": 914_400, "pt": 12_700, "px": 9_525}
_LENGTH = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(mm|cm|in|pt|px)?\s*")
_MAX_EMU = 1000 * EMU_PER_MM
_IMAGE_KEYS: Final = frozenset({"image", "width", "height", "alt"})
_RUN_KEYS: Final = frozenset(
    {"text", "bold", "italic", "underline", "strike", "color", "size", "font", "link", "break"}
)
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")
_LINK = re.compile(r"(https?://|mailto:)\S+", re.IGNORECASE)
_MAX_RUNS, _MAX_LINK = 10_000, 2_000
_MAX_POINTS = 1638
"""The largest size that Word knows."""
_BREAKS: Final = ("line", "page")


@dataclass(frozen=True, slots=True)
class Image:
    """`name` is an asset's name or a data URI; sizes are EMU (914,400 to the inch), None to follow from the other."""

    name: str
    width: int | None = None
    height: int | None = None
    alt: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one style; None leaves what the template's text has. `size` is in half points."""

    text: str
    bold: bool | None = None
    italic: bool | None = None
    underline: bool | None = None
    strike: bool | None = None
    color: str | None = None
    size: int | None = None
    font: str | None = None
    link: str | None = None
    break_after: str | None = None


@dataclass(frozen=True, slots=True)
class RichText:
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """What a filter gives for an image or rich text: `mark` stands for it in the text."""

    mark: str

    def __str__(self) -> str:
        return self.mark


def keep_xml_characters(text: str) -> str:
    """The text without characters that XML cannot hold (control characters, lone surrogates) and without marks."""
    return _NOT_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def is_typed_value(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object means an image or rich text, and not an object that was printed by mistake."""
    return ("image" in value and value.keys() <= _IMAGE_KEYS) or value.keys() == {"richtext"}


def read_value(value: Mapping[str, Any]) -> Image | RichText:
    """The value behind a typed JSON object. Raises TemplateError."""
    if "richtext" in value:
        return read_rich_text(value["richtext"])
    return read_image(value["image"], value.get("width"), value.get("height"), value.get("alt"))


def read_image(name: Any, width: Any = None, height: Any = None, alt: Any = None) -> Image:
    if not isinstance(name, str) or not name:
        raise TemplateError("an image is named by a text: the name of an asset or a data URI")
    return Image(name, _length(width), _length(height), keep_xml_characters(str(alt or "")))


def read_rich_text(value: Any) -> RichText:
    """A text, a run, or a list of both."""
    given = value if isinstance(value, list) else [value]
    if len(given) > _MAX_RUNS:
        raise TemplateError(f"rich text has more than {_MAX_RUNS} runs")
    return RichText(tuple(_run(each) for each in given))


def _run(value: Any) -> Run:
    if isinstance(value, str):
        return Run(keep_xml_characters(value))
    if not isinstance(value, dict):
        raise TemplateError('a run of rich text is a text or an object such as {"text": "Total", "bold": true}')
    unknown = sorted(value.keys() - _RUN_KEYS)
    if unknown:
        raise TemplateError(f"a run of rich text has no {unknown[0]!r}; it may have {', '.join(sorted(_RUN_KEYS))}")
    text = value.get("text")
    return Run(
        keep_xml_characters("" if text is None else str(text)),
        bold=_flag(value, "bold"),
        italic=_flag(value, "italic"),
        underline=_flag(value, "underline"),
        strike=_flag(value, "strike"),
        color=_matching(value, "color", _COLOUR, "six hexadecimal digits such as #c00000"),
        size=_half_points(value.get("size")),
        font=_font(value.get("font")),
        link=_matching(value, "link", _LINK, "a web or mail address"),
        break_after=_break(value.get("break")),
    )


def _flag(value: Mapping[str, Any], name: str) -> bool | None:
    flag = value.get(name)
    if flag is None or isinstance(flag, bool):
        return flag
    raise TemplateError(f"{name!r} of a run of rich text is true or false")


def _matching(value: Mapping[str, Any], name: str, pattern: re.Pattern[str], expected: str) -> str | None:
    text = value.get(name)
    if text is None:
        return None
    found = pattern.fullmatch(text) if isinstance(text, str) and len(text) <= _MAX_LINK else None
    if found is None:
        raise TemplateError(f"{name!r} of a run of rich text must be {expected}")
    return keep_xml_characters(found[1] if pattern is _COLOUR else found[0])


def _half_points(size: Any) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int | float) or not 1 <= size <= _MAX_POINTS:
        raise TemplateError(f"'size' of a run of rich text is a number of points from 1 to {_MAX_POINTS}")
    return round(size * 2)


def _font(name: Any) -> str | None:
    if name is None or (isinstance(name, str) and 0 < len(name) <= 100):  # noqa: PLR2004 - longer is no font's name
        return keep_xml_characters(name) if name else None
    raise TemplateError("'font' of a run of rich text is the name of a font")


def _break(value: Any) -> str | None:
    match value:
        case None | False:
            return None
        case True:
            return "line"
        case str() if value in _BREAKS:
            return value
        case _:
            raise TemplateError('\'break\' of a run of rich text is "line", "page" or true')


def _length(value: Any) -> int | None:
    """EMU from a number of millimetres or a text with a unit. Raises TemplateError."""
    if value is None:
        return None
    found = None if isinstance(value, bool) else _LENGTH.fullmatch(str(value))
    emu = round(float(found[1]) * _EMU[found[2] or "mm"]) if found and len(found[1]) < 20 else 0  # noqa: PLR2004
    if not 0 < emu <= _MAX_EMU:
        raise TemplateError(
            f'{str(value)[:40]!r} is not a size for an image; give millimetres (40) or a text such as "4cm"'
        )
    return emu
