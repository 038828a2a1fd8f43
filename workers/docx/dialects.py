"""Templates written for another product: name its language and the paragraph, instead of what Jinja would say.

Strong signs cannot be Jinja, or are never meant as text; weak ones ({name}) may be ordinary text and are told only
as a warning for a template that has no tag of ours.
"""

import re
from collections.abc import Sequence
from typing import Final

_WRITE_HERE = (
    "here a value is written {{ name }} and a loop {% for item in items %} ... {% endfor %} "
    "({%p for ... %} for whole paragraphs, {%tr for ... %} for table rows)"
)
_SINGLE = r"(?<![{%#$])\{INSIDE\}(?!\})"


def _single(inside: str) -> str:
    return _SINGLE.replace("INSIDE", inside)


_STRONG: Final = (
    ("Handlebars or Mustache", re.compile(r"\{\{\{[^{}%]*\}\}\}|\{\{~?\s*(?:[#/^>&!][^{}]*|else\b[^{}]*)\}\}")),
    ("Carbone", re.compile(_single(r"(?:[dc]\.|[dc]\[|t\()[^{}]*"))),
    (
        "docxtemplater",
        re.compile(
            r"(?<!\{)\{[#^@]\s*[\w.]+\s*\}(?!\})|" + _single(r"/\s*[\w.]*\s*") + r"|(?<!\{)\{%%?\s*[\w.]+\s*\}(?!\})"
        ),
    ),
)
_WEAK: Final = (
    ("XDocReport or PHPWord", re.compile(r"\$\{\s*[\w.]+\s*\}")),
    ("docxtemplater", re.compile(_single(r"\s*[A-Za-z_][\w.]*\s*"))),
    ("Word's mail merge", re.compile(r"«\s*[\w.]+\s*»")),
)
_QUOTED_CHARACTERS = 60


def find_foreign_tag(paragraphs: Sequence[str]) -> tuple[int, str] | None:
    """The paragraph (from 1) with a tag that cannot be ours, and a sentence about it; None when all may be."""
    return _find(paragraphs, _STRONG, "looks like a tag of {dialect}, another template language; ")


def find_likely_foreign_tag(paragraphs: Sequence[str]) -> tuple[int, str] | None:
    """The same for what may be ordinary text; ask only about templates without tags of ours."""
    return _find(paragraphs, _WEAK, "may be a placeholder of {dialect}, and is left as it is; ")


def _find(
    paragraphs: Sequence[str], signs: Sequence[tuple[str, re.Pattern[str]]], sentence: str
) -> tuple[int, str] | None:
    for number, text in enumerate(paragraphs, start=1):
        for dialect, sign in signs if "{" in text or "«" in text else ():
            if found := sign.search(text):
                tag = found[0][:_QUOTED_CHARACTERS]
                return number, f'"{tag}" ' + sentence.format(dialect=dialect) + _WRITE_HERE
    return None
