"""Which fields a Typst template asks for, read from its source without running it.

A field is a key of the caller's data that the source reads in one of these ways, in code or after `#` in markup:

    data.name                  data.at("name")         data.at("name", default: "Alice")
    sys.inputs.name            sys.inputs.at("name")   sys.inputs.at("name", default: "Alice")
    "name" in data             "name" in sys.inputs

Comments, strings, raw blocks, links and prose are not code. Only the first step counts: `data.customer.name` is
the field `customer`. Keys that are computed (`data.at(key)`) cannot be known and are left out.

The example of a field is the first default that is a literal: the text of a string or of a content block, else the
literal as it stands in the source (`3`, `12pt`, `("a", "b")`, `(name: "Alice")`). `none`, `auto`, empty texts and
expressions such as `datetime.today()` give no example; a later default may still give one.

What is called is a method and not a field (`data.keys()`, `data.insert(...)`), what is assigned is not read
(`data.total = 3`). A `data` that the template binds anew (`let data = ...`, a parameter) is taken for ours all the
same: the usual reason is to clean up what came. Other names for it (`let d = data`) are not followed.
"""

import re
from dataclasses import dataclass
from typing import Final

from templates_app.typst_tokens import NAME, NUMBER, STRING, Tokens, scan


@dataclass(frozen=True, slots=True)
class TypstField:
    """A key that a template reads, and the value it shows when nobody gives one ("" when there is none)."""

    key: str
    example: str


def extract_typst_fields(source: str) -> list[TypstField]:
    """Fields in order of first appearance, each once, with the first example given.

    Never raises, whatever the text: of a source that Typst would refuse it gives the fields that can be recognised.
    Time and memory grow linearly with the source, and examples never add up to more than its length.
    """
    tokens = scan(source)
    found: dict[str, str] = {}
    budget = len(source)
    for index in tokens.names:
        mention = _mention(tokens, index)
        if mention is None:
            continue
        key, default = mention
        # Defaults nested in defaults would otherwise repeat the same text once for each level.
        if not found.setdefault(key, "") and default is not None and tokens.length(*default) <= budget:
            found[key] = _example(tokens, *default)
            budget -= len(found[key])
    return [TypstField(key, example) for key, example in found.items()]


# ---- What the tokens mention ------------------------------------------------------------------------

_Span = tuple[int, int]  # from token to token, the last one not included


def _mention(tokens: Tokens, index: int) -> tuple[str, _Span | None] | None:
    """The key that the name at `index` reads from the caller's data, and where its default stands."""
    after = _end_of_root(tokens, index)
    if after is None:
        return None
    if tokens.text(after) != ".":
        return _membership(tokens, index)
    key = after + 1
    if tokens.text(key + 1) in {"(", "["} and tokens.ends[key] == tokens.starts[key + 1]:
        return _call_of_at(tokens, key + 1) if tokens.text(key) == "at" else None
    is_read = tokens.kind(key) == NAME and tokens.text(key + 1) != "="
    return (tokens.text(key), None) if is_read else None


def _end_of_root(tokens: Tokens, index: int) -> int | None:
    """The token after `data` or `sys.inputs`; None when the name at `index` is a field of something else."""
    if tokens.text(index - 1) == ".":
        return None
    if tokens.text(index) == "data":
        return index + 1
    return index + 3 if tokens.text(index + 1) == "." and tokens.text(index + 2) == "inputs" else None


def _membership(tokens: Tokens, index: int) -> tuple[str, None] | None:
    """The key of `"key" in data` and `"key" not in data`, where `data` stands at `index`."""
    if tokens.text(index - 1) != "in":
        return None
    left = index - 3 if tokens.text(index - 2) == "not" else index - 2
    return (_unescaped(tokens.text(left)), None) if tokens.kind(left) == STRING else None


def _call_of_at(tokens: Tokens, opening: int) -> tuple[str, _Span | None] | None:
    key: str | None = None
    default: _Span | None = None
    for first, last in _arguments(tokens, opening):
        if tokens.text(first) == "default" and tokens.text(first + 1) == ":":
            default = (first + 2, last)
        elif last - first == 1 and tokens.kind(first) == STRING:
            key = _unescaped(tokens.text(first))
    return None if key is None else (key, default)


def _arguments(tokens: Tokens, opening: int) -> list[_Span]:
    """The comma-separated parts of a bracket; what is nested in them is stepped over."""
    closing = tokens.partner(opening)
    parts: list[_Span] = []
    first = index = opening + 1
    while index < closing:
        if tokens.text(index) == ",":
            parts.append((first, index))
            first = index + 1
        index = max(tokens.partner(index), index) + 1
    parts.append((first, closing))
    return parts


def _example(tokens: Tokens, first: int, last: int) -> str:
    """The text of the literal between two tokens; "" when it is no literal."""
    while last - first > 1 and tokens.partner(first) == last - 1:
        if tokens.text(first) == "[":
            return tokens.source[tokens.ends[first] : tokens.starts[last - 1]].strip()
        if tokens.text(first) == "(" and _is_collection(tokens, first):
            return tokens.source[tokens.starts[first] : tokens.ends[last - 1]]
        first, last = first + 1, last - 1
    is_negative = tokens.text(first) == "-" and tokens.kind(first + 1) == NUMBER
    if last - first != 1 + is_negative:
        return ""
    text = tokens.text(last - 1)
    if tokens.kind(first) == STRING:
        return _unescaped(text)
    if tokens.kind(last - 1) == NUMBER:
        return "-" * is_negative + text
    return text if text in {"true", "false"} else ""


def _is_collection(tokens: Tokens, opening: int) -> bool:
    """Whether parentheses hold an array or a dictionary, and not just an expression."""
    if tokens.text(opening + 1) in {")", ":"} or tokens.text(opening + 2) == ":":
        return True
    return len(_arguments(tokens, opening)) > 1


_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


def _unescaped(literal: str) -> str:
    """The value of a string literal; a code point that does not exist stays as it is written."""

    def value(found: re.Match[str]) -> str:
        digits, character = found.groups()
        if digits is None:
            return _ESCAPED.get(character, character)
        point = int(digits, 16)
        exists = point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF  # noqa: PLR2004  # Unicode scalar values
        return chr(point) if exists else found[0]

    return _ESCAPE.sub(value, literal.removeprefix('"').removesuffix('"'))
