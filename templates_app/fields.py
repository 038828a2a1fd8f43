"""Which fields a Typst template asks for, read from its source without running it.

A field is a key of the caller's data that the source reads in one of these ways, in code or after `#` in markup:

    data.name                  data.at("name")         data.at("name", default: "Alice")
    sys.inputs.name            sys.inputs.at("name")   sys.inputs.at("name", default: "Alice")
    "name" in data             "name" in sys.inputs

Comments, strings, raw blocks and plain prose are not code. Only the first step counts: `data.customer.name` is the
field `customer`. Keys that are computed (`data.at(key)`) cannot be known and are left out.

The example of a field is the first default that is a literal: the text of a string or content block, else the
literal as it stands in the source (`3`, `12pt`, `("a", "b")`, `(name: "Alice")`). `none`, `auto`, empty texts and
expressions such as `datetime.today()` give no example, and a later default may still give one.

A dictionary's own methods (`data.keys()`, `data.insert(...)`) are not fields; `data.keys` without a call is one.
A `data` that the template binds anew (`let data = ...`) is still taken for ours: the usual reason is to clean it up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class TypstField:
    """A key that a template reads, and the value it shows when nobody gives one ("" when there is none)."""

    key: str
    example: str


def extract_typst_fields(source: str) -> list[TypstField]:
    """Fields in order of first appearance, each once, with the first example given.

    Never raises, whatever the text: a source that Typst would refuse gives the fields that can be recognised.
    Time and memory grow linearly with the source; examples never add up to more than its length.
    """
    found: dict[str, str] = {}
    tokens = list(_tokens(source))
    ends = _matching_brackets(tokens)
    budget = len(source)
    for index, token in enumerate(tokens):
        mention = _mention(tokens, index, ends) if token.kind is Kind.NAME else None
        if mention is None:
            continue
        if not found.setdefault(mention.key, ""):
            example = _example(source, tokens, mention.default, ends) if mention.default else ""
            # Defaults nested in defaults would otherwise repeat the same text once for each level.
            if len(example) <= budget:
                found[mention.key] = example
                budget -= len(example)
    return [TypstField(key, example) for key, example in found.items()]


# ---- Tokens ----------------------------------------------------------------------------------------


class Kind(Enum):
    NAME = auto()
    STRING = auto()
    NUMBER = auto()
    PUNCTUATION = auto()  # brackets, operators, `#`, and the line ends that close a statement


class Token(NamedTuple):
    kind: Kind
    text: str
    start: int
    end: int
    code: bool  # False for the brackets and text of markup


class Mode(Enum):
    MARKUP = auto()
    MATH = auto()
    CODE = auto()  # inside braces or parentheses
    STATEMENT = auto()  # code after `#let`, `#set`, `#if` ... in markup, up to the end of the line
    EXPRESSION = auto()  # code after `#` in markup: a name with its calls and fields, or one literal


_STATEMENTS = frozenset({"let", "set", "show", "import", "include", "context", "return", "if", "while", "for"})
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_NAME = re.compile(r"[^\W\d][\w-]*")
_NUMBER = re.compile(r"0[xob][0-9a-fA-F]+|(?:\d+(?:\.(?!\.|[^\W\d])\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:[a-z]+|%)?")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BLOCK_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BACKTICKS = re.compile(r"`+")
_PLAIN_MARKUP = re.compile(r"[^\\`/#\[\]$:]+")
_LINK = re.compile(r"https?://[^\s\[\]()]*")
