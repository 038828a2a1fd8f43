"""Where in a document something is: its paragraphs as text, and the paragraph that a tag stands in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.docx.xml import W
from workers.errors import TemplateError

TAG: Final = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_RAW: Final = r"\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
_RAW_OR_TAG = re.compile(rf"{_RAW}|{TAG.pattern}", re.DOTALL)
_CLOSE = re.compile(r"[-+]?[%}]\}")
_OPEN = re.compile(r"^\{[%{#][-+]?(?:(?:p|tr|tc|r)(?=\s))?")
_TYPOGRAPHIC: Final = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")
_QUOTED_CHARACTERS = 80
_UNCLOSED: Final = (("{{", "}}"), ("{%", "%}"))


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of the document as people see it. `name` is for messages: "body", "header", "footnotes"."""

    name: str
    paragraphs: tuple[str, ...]

    def fail(self, message: str, number: int | None, quote: str = "") -> TemplateError:
        """An error that names the paragraph, counted from 1 as Word shows them, and quotes the place."""
        where = self.name if number is None else f"{self.name}, paragraph {number}"
        text = quote if number is None else _around(self.paragraphs[number - 1], quote)
        return TemplateError(f'{where} ("{text}"): {message}' if text else f"{where}: {message}")

    def find(self, tag: str, nth: int) -> int | None:
        """The number of the paragraph with the nth (from 0) tag that reads so."""
        for number, text in enumerate(self.paragraphs, start=1):
            for each in TAG.findall(text):
                if inner(each) == tag:
                    if nth == 0:
                        return number
                    nth -= 1
        return None


def read_paragraphs(root: Any) -> tuple[str, ...]:
    """The text of every paragraph in order; those of a text box come after the one that holds it."""
    texts: dict[Any, list[str]] = {paragraph: [] for paragraph in root.iter(W + "p")}
    for element in root.iter(W + "t", W + "tab", W + "br"):
        holder = next(element.iterancestors(W + "p"), None)
        if holder is not None:
            texts[holder].append((element.text or "") if element.tag == W + "t" else " ")
    return tuple("".join(text) for text in texts.values())


def check_tags_are_closed(part: TextPart) -> None:
    """Raise TemplateError for a tag that begins in a paragraph and does not end there.

    Unclosed, it would swallow what follows up to the next end of a tag, and the message would be about that.
    """
    if any("raw" in text and re.search(_RAW.partition(".*?")[0], text) for text in part.paragraphs):
        return
    for number, text in enumerate(part.paragraphs, start=1):
        rest = TAG.sub("", text) if "{" in text else ""
        for start, end in _UNCLOSED:
            if start in rest:
                raise part.fail(
                    f"a tag that begins with {start} has no {end}", number, start + rest.partition(start)[2]
                )


def number_tags(source: str) -> str:
    """The source with a line break at the start of every tag and nowhere else: a line number tells the tag."""
    return _RAW_OR_TAG.sub(_with_line_break, source.replace("\n", " "))


def tag_on_line(source: str, line: int) -> tuple[str, int] | None:
    """The tag on a line (from 1) of what `number_tags` gave, and how many of the same text come before it."""
    lines = source.split("\n")
    if not 1 < line <= len(lines):
        return None
    tags = [normal(_CLOSE.split(each, maxsplit=1)[0]) for each in lines[1:line]]
    return tags[-1], tags[:-1].count(tags[-1])


def inner(tag: str) -> str:
    """What a tag says, without its braces, its prefix for rows or paragraphs, and doubtful spaces and quotes."""
    return normal(_CLOSE.split(_OPEN.sub("", tag), maxsplit=1)[0])


def normal(text: str) -> str:
    return " ".join(text.translate(_TYPOGRAPHIC).split())


def _with_line_break(found: re.Match[str]) -> str:
    tag = found[0]
    if tag.startswith("{#") or re.match(r"\{%[-+]?\s*raw\b", tag):
        return tag
    start = 3 if tag[2:3] in {"-", "+"} else 2
    return f"{tag[:start]}\n{tag[start:]}"


def _around(text: str, quote: str) -> str:
    """The text, cut to a readable length around the quote."""
    text, quote = " ".join(text.split()), " ".join(quote.split())
    if len(text) <= _QUOTED_CHARACTERS:
        return text
    wished = text.find(quote) - _QUOTED_CHARACTERS // 4
    start = max(0, min(wished, len(text) - _QUOTED_CHARACTERS))
    end = start + _QUOTED_CHARACTERS
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def have_tags(parts: Sequence[TextPart]) -> bool:
    """Whether any part has a tag of the template language."""
    return any("{" in text and TAG.search(text) for part in parts for text in part.paragraphs)
