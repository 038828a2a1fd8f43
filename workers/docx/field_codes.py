"""Fields of Word that read files or the network, or start programs, when a document is opened or updated.

Such a field is taken apart: its instruction goes and what it last showed stays as ordinary text. A field is either
one element with the instruction as an attribute, or a run of begin, instruction, separator, result and end, which
nest and cross paragraphs.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from workers.docx.xml import W

FORBIDDEN: Final = frozenset(
    (
        *("INCLUDETEXT", "INCLUDEPICTURE", "INCLUDE", "IMPORT", "LINK", "DDE", "DDEAUTO", "RD", "DATABASE", "EMBED"),
        *("AUTOTEXT", "AUTOTEXTLIST", "MACROBUTTON", "CONTROL", "HTMLCONTROL", "PRINT"),
    )
)
_KEYWORD = re.compile(r'\s*"?\s*\\?([A-Za-z]+)')
_WORDS = re.compile(r'\\([a-z])|"([^"]*)"?|(\S+)', re.IGNORECASE)
_SWITCHES_WITH_ARGUMENT = frozenset("lot")
_SAFE_TARGET = re.compile(r"(https?://|mailto:|#|\{\{|$)", re.IGNORECASE)


@dataclass(slots=True)
class _Field:
    elements: list[Any] = field(default_factory=list)
    instruction: str = ""
    in_instruction: bool = True
    is_computed: bool = False  # begins with another field, whose result would be the keyword


def neutralise_fields(root: Any) -> tuple[str, ...]:
    """Take the forbidden fields of a part apart; gives their keywords in order, each once."""
    found: dict[str, None] = {}
    for simple in list(root.iter(W + "fldSimple")):
        if keyword := _forbidden(simple.get(W + "instr", "")):
            found[keyword] = None
            _unwrap(simple)
    for done in _complex_fields(root):
        keyword = "computed" if done.is_computed else _forbidden(done.instruction)
        if keyword:
            found[keyword] = None
            for element in done.elements:
                element.getparent().remove(element)
    return tuple(found)


def _complex_fields(root: Any) -> list[_Field]:
    """All fields, also those that never end."""
    fields: list[_Field] = []
    inside: list[_Field] = []
    for element in root.iter(W + "fldChar", W + "instrText", W + "delInstrText"):
        if element.tag != W + "fldChar":
            if inside:
                inside[-1].elements.append(element)
                if inside[-1].in_instruction:
                    inside[-1].instruction += element.text or ""
            continue
        kind = element.get(W + "fldCharType")
        if kind == "begin":
            if inside and inside[-1].in_instruction and not inside[-1].instruction.strip(' "\\'):
                inside[-1].is_computed = True
            inside.append(_Field())
            fields.append(inside[-1])
        if not inside:
            continue
        inside[-1].elements.append(element)
        if kind == "separate":
            inside[-1].in_instruction = False
        elif kind == "end":
            inside.pop()
    return fields


def _forbidden(instruction: str) -> str | None:
    found = _KEYWORD.match(instruction)
    if found is None:
        return None
    keyword = found[1].upper()
    if keyword in FORBIDDEN:
        return keyword
    if keyword == "HYPERLINK" and not _SAFE_TARGET.match(_target(instruction[found.end() :]).strip()):
        return keyword
    return None


def _target(arguments: str) -> str:
    """The address of a HYPERLINK: the first word that is neither a switch nor the argument of one."""
    is_argument = False
    for switch, quoted, bare in _WORDS.findall(arguments):
        if switch:
            is_argument = switch.lower() in _SWITCHES_WITH_ARGUMENT
        elif is_argument:
            is_argument = False
        else:
            return str(quoted or bare)
    return ""


def _unwrap(element: Any) -> None:
    parent = element.getparent()
    place = parent.index(element)
    for child in reversed(list(element)):
        parent.insert(place + 1, child)
    parent.remove(element)
