"""Which fields a .docx asks for, read from its tags without filling it in.

A field is a name that the template does not give itself (by a loop, `set`, a macro). Only the first step counts:
`customer.name` is the field `customer`. Types are guessed from use: `array` when looped over, `number` and `date`
from the filters and the arithmetic that they meet, else `text`. The example is the first literal `default(...)`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from workers.docx.render import compile_template

_BY_FILTER: Final[Mapping[str, str]] = {
    "number": "number",
    "currency": "number",
    "percent": "number",
    "round": "number",
    "int": "number",
    "float": "number",
    "abs": "number",
    "date": "date",
    "datetime": "date",
    "time": "date",
    "sum": "array",
    "join": "array",
    "map": "array",
    "first": "array",
    "last": "array",
    "sort": "array",
    "groupby": "array",
    "selectattr": "array",
    "rejectattr": "array",
    "batch": "array",
}
_ARITHMETIC: Final = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg)
_STRENGTH: Final = ("text", "number", "date", "array")
_SEPARATOR = re.compile(r"[_\W]+")


@dataclass(frozen=True, slots=True)
class DocxField:
    """A key that the template reads, as `GET /templates/{id}` lists it. `type` is text, date, number or array."""

    key: str
    label: str
    type: str
    required: bool
    example: str


def extract_docx_fields(content: bytes) -> tuple[tuple[DocxField, ...], tuple[str, ...]]:
    """The fields of a cleaned .docx in order of first appearance, and warnings about the template.

    Raises TemplateError that names the paragraph when a tag cannot be understood or is of another product.
    """
    environment, sources, warnings = compile_template(content)
    types: dict[str, str] = {}
    examples: dict[str, str] = {}
    for source in sources:
        tree = environment.parse(source)
        asked = find_undeclared_variables(tree) - environment.globals.keys()
        for key, kind, example in _uses(tree):
            if key in asked:
                types[key] = max(kind, types.get(key, "text"), key=_STRENGTH.index)
                examples[key] = examples.get(key) or example
    fields = (DocxField(key, _label(key), kind, required=False, example=examples[key]) for key, kind in types.items())
    return tuple(fields), tuple(warnings)


def _uses(node: nodes.Node, kind: str = "text", example: str = "") -> Iterator[tuple[str, str, str]]:
    """Each name that is read, in order, with the type and the example that its surroundings give."""
    match node:
        case nodes.Name(name=name):
            if node.ctx == "load":
                yield name, kind, example
        case nodes.For():
            yield from _uses(node.iter, "array")
            for part in (node.target, *node.body, *node.else_, *([node.test] if node.test else [])):
                yield from _uses(part)
        case nodes.Filter(name=name, node=value) if value is not None:
            if name in {"default", "d"}:
                yield from _uses(value, kind, _literal(node.args))
            else:
                yield from _uses(value, _BY_FILTER.get(name, kind if kind == "array" else "text"), example)
            for argument in (*node.args, *node.kwargs):
                yield from _uses(argument)
        case _:
            inner = "number" if isinstance(node, _ARITHMETIC) else "text"
            for child in node.iter_child_nodes():
                yield from _uses(child, inner)


def _literal(arguments: list[nodes.Expr]) -> str:
    if arguments and isinstance(arguments[0], nodes.Const) and isinstance(arguments[0].value, str | int | float):
        return str(arguments[0].value)
    return ""


def _label(key: str) -> str:
    words = " ".join(_SEPARATOR.split(key)).strip()
    return words[:1].upper() + words[1:] or key
