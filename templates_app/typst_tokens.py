"""The code in a Typst source, as tokens: what a reader needs who must not take comments, text or raw blocks for code.

It follows Typst's lexer where code begins and ends, and nowhere else: it accepts every text, never raises, never
recurses, and takes time and memory in proportion to the source.
"""

import re
from array import array
from typing import Final, NamedTuple


def scan(source: str) -> "Tokens":
    return _Scanner(source).scan()


NAME, STRING, NUMBER, OTHER = range(4)
_PARTNERS: Final = {"(": ")", "[": "]", "{": "}"}


class Tokens:
    """The code of a source in columns, a few bytes per token: a megabyte of brackets is a million tokens.

    A `;` stands where a piece of code in markup ends. Prose, comments and raw blocks leave nothing.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.kinds = bytearray()
        self.starts = array("L")
        self.ends = array("L")
        self.names = array("L")  # the tokens that are `data` or `sys`
        self._partners = array("l")  # of an opening bracket: the token that closes it; else -1
        self._open: list[int] = []

    def add(self, kind: int, start: int, end: int) -> None:
        text = self.source[start:end]
        index = len(self.kinds)
        if kind == OTHER and text in _PARTNERS:
            self._open.append(index)
        elif kind == OTHER and self._open and text == _PARTNERS[self.text(self._open[-1])]:
            self._partners[self._open.pop()] = index
        elif kind == NAME and text in {"data", "sys"}:
            self.names.append(index)
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)
        self._partners.append(-1)

    def kind(self, index: int) -> int:
        return self.kinds[index] if 0 <= index < len(self.kinds) else OTHER

    def text(self, index: int) -> str:
        return self.source[self.starts[index] : self.ends[index]] if 0 <= index < len(self.kinds) else ""

    def length(self, first: int, last: int) -> int:
        """Characters from token `first` to token `last`, the last one not included."""
        return self.ends[last - 1] - self.starts[first] if last > first else 0

    def partner(self, index: int) -> int:
        """The token that closes the bracket at `index`: the end of all when nothing does, -1 for other tokens."""
        closing = self._partners[index]
        is_open = closing < 0 and self.kinds[index] == OTHER and self.text(index) in _PARTNERS
        return len(self.kinds) if is_open else closing


class _Frame(NamedTuple):
    mode: int
    closer: str


_MARKUP, _MATH, _CODE, _STATEMENT, _CONTROL, _EXPRESSION = range(6)
_BRACKETS: Final = {"(": _Frame(_CODE, ")"), "{": _Frame(_CODE, "}"), "[": _Frame(_MARKUP, "]")}
_INLINE_MATH: Final = _Frame(_MATH, "$")
_KEYWORDS: Final = {
    **dict.fromkeys(("let", "set", "show", "import", "include", "return"), _Frame(_STATEMENT, "")),
    **dict.fromkeys(("if", "while", "for"), _Frame(_CONTROL, "")),
}

_NAME_START: Final = re.compile(r"[^\W\d]")
_NAME_PART: Final = re.compile(r"[\w-]*")
_STRING_LITERAL: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NUMBER_LITERAL: Final = re.compile(
    r"0[xob][0-9a-fA-F]+|(?:\d+(?:\.(?!\.|[^\W\d])\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:[a-z]+|%)?"
)
_LABEL: Final = re.compile(r"<[\w:.-]+>")
_OPERATOR: Final = re.compile(r"\.\.|=>|[=!<>+*/-]=|.", re.DOTALL)
_PROSE: Final = re.compile(r"[^\\/`#\[\]$:]+")
_FORMULA: Final = re.compile(r'[^\\/"#$]+')
_LINK: Final = re.compile(r"://[\w#$%&*+,\-./:;=?@~']*")
_BLANKS: Final = re.compile(r"\s+")
_BLANKS_OF_LINE: Final = re.compile(r"[^\S\n]+")
_BACKTICKS: Final = re.compile(r"`+")
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_ELSE: Final = re.compile(r"[^\S\n]*else\b")


class _Scanner:
    """Typst's lexer as far as telling code from text needs it, with a stack in place of recursion."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.frames = [_Frame(_MARKUP, "")]
        self.tokens = Tokens(source)

    def scan(self) -> Tokens:
        steps = {_MARKUP: self._markup, _MATH: self._math, _EXPRESSION: self._postfix}
        while self.position < len(self.source):
            steps.get(self.frames[-1].mode, self._code)()
        return self.tokens

    # -- Text

    def _markup(self) -> None:
        if self._skip(_PROSE) or self._comment() or self._raw():
            return
        character = self.source[self.position]
        if character == "#":
            self._embedded()
        elif character == "[":
            self._open(character)
        elif character == self.frames[-1].closer:
            self._close()
        elif character == "$":
            self._enter_math()
        elif character == ":" and self.source.endswith(("http", "https"), 0, self.position) and self._skip(_LINK):
            return
        else:
            self.position += 2 if character == "\\" else 1

    def _math(self) -> None:
        if self._skip(_FORMULA) or self._comment() or self._skip(_STRING_LITERAL):
            return
        character = self.source[self.position]
        if character == "#":
            self._embedded()
        elif character == "$":
            self.frames.pop()
            self.position += 1
        else:
            self.position += 2 if character == "\\" else 1

    def _comment(self) -> bool:
        if self.source.startswith("//", self.position):
            end = self.source.find("\n", self.position)
            self.position = end if end >= 0 else len(self.source)
            return True
        if not self.source.startswith("/*", self.position):
            return False
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self.source, self.position):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                self.position = edge.end()
                return True
        self.position = len(self.source)
        return True

    def _raw(self) -> bool:
        fence = _BACKTICKS.match(self.source, self.position)
        if fence is None:
            return False
        self.position = fence.end()
        if len(fence[0]) != 2:  # noqa: PLR2004  # two backticks are an empty raw text
            end = self.source.find(fence[0], self.position)
            self.position = end + len(fence[0]) if end >= 0 else len(self.source)
        return True

    # -- Code in text: `#`

    def _embedded(self) -> None:
        self.position += 1
        name = self._name()
        while name == "context":
            self._skip(_BLANKS_OF_LINE)
            name = self._name()
        if name in _KEYWORDS:
            self.frames.append(_KEYWORDS[name])
            return
        self.frames.append(_Frame(_EXPRESSION, ""))
        if name:
            return
        character = self.source[self.position : self.position + 1]
        if character in _BRACKETS:
            self._open(character)
        elif character == "$":
            self._enter_math()
        elif not (self._raw() or self._literal()):
            self.frames.pop()

    def _postfix(self) -> None:
        """What may follow `#name` without a blank; anything else is text again."""
        character = self.source[self.position]
        if character == "." and _NAME_START.match(self.source, self.position + 1):
            self._add(OTHER, self.position + 1)
            self._name()
        elif character in {"(", "["}:
            self._open(character)
        else:
            self._leave_code()

    def _leave_code(self) -> None:
        self.frames.pop()
        self.position += self.source.startswith(";", self.position)
        self.tokens.add(OTHER, 0, 0)

    # -- Code

    def _code(self) -> None:
        mode, closer = self.frames[-1]
        if self._skip(_BLANKS if mode == _CODE else _BLANKS_OF_LINE) or self._comment() or self._raw():
            return
        character = self.source[self.position]
        if mode != _CODE and (character in "\n;)]}" or (character == "$" and self.frames[-2].mode == _MATH)):
            self._leave_code()
        elif self._name() or self._literal() or self._skip(_LABEL):
            return
        elif character in _BRACKETS:
            self._open(character)
        elif character == closer:
            self._close()
        elif character == "$":
            self._enter_math()
        elif character in ")]}":
            self.position += 1
        else:
            operator = _OPERATOR.match(self.source, self.position)
            self._add(OTHER, operator.end() if operator else self.position + 1)

    def _name(self) -> str:
        start = end = self.position
        if not _NAME_START.match(self.source, start):
            return ""
        # Python's \w leaves out the combining marks that Typst's names may hold, its identifiers do not.
        while end < len(self.source) and (self.source[end] in "-_" or ("_" + self.source[end]).isidentifier()):
            part = _NAME_PART.match(self.source, end + 1)
            end = part.end() if part else end + 1
        end = max(end, start + 1)
        self._add(NAME, end)
        return self.source[start:end]

    def _literal(self) -> bool:
        for kind, pattern in ((STRING, _STRING_LITERAL), (NUMBER, _NUMBER_LITERAL)):
            found = pattern.match(self.source, self.position)
            if found:
                self._add(kind, found.end())
                return True
        return False

    def _open(self, bracket: str) -> None:
        self._add(OTHER, self.position + 1)
        self.frames.append(_BRACKETS[bracket])

    def _close(self) -> None:
        closer = self.frames.pop().closer
        self._add(OTHER, self.position + 1)
        # The body ends an `if`, `for` or `while` in markup, unless an `else` follows.
        if self.frames[-1].mode == _CONTROL and closer != ")" and not _ELSE.match(self.source, self.position):
            self._leave_code()

    def _enter_math(self) -> None:
        self.frames.append(_INLINE_MATH)
        self.position += 1

    def _add(self, kind: int, end: int) -> None:
        self.tokens.add(kind, self.position, end)
        self.position = end

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.source, self.position)
        if found:
            self.position = found.end()
        return found is not None
