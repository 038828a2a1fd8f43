"""How the caller's data gets into a document: `field`, `{{key|example}}` and conditions of visibility.

Data is never a template: braces in a value stay braces.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from workers.errors import TemplateError

PLACEHOLDER: Final = re.compile(r"\{\{(?=[^{}|\n]{0,200}[^{}|\s])([^{}|\n]{1,200})(?:\|([^{}]*))?\}\}")
"""`{{key}}` or `{{key|example}}`. What does not look like one is text."""

_Values = Mapping[str, Any]
_WITH_PLACEHOLDERS: Final = {"text": "text", "qr": "value", "barcode": "value"}
_CONTENTS: Final = {**_WITH_PLACEHOLDERS, "image": "src", "svg": "src"}
"""The field of each dynamic type of layer that `field` replaces."""


def read_values(data: bytes) -> dict[str, Any]:
    """The caller's data; anything but an object counts as none. Decimal fractions keep their digits.

    Raises TemplateError.
    """
    try:
        values = json.loads(data, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise TemplateError("data is nested too deeply") from error
    except ValueError as error:
        raise TemplateError(f"data is not valid JSON: {str(error).partition(';')[0]}") from error
    return values if isinstance(values, dict) else {}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def fill_layer(layer: Mapping[str, Any], values: _Values) -> dict[str, Any]:
    """Give a layer with its content as the data wants it; the document's own content is the example.

    A null, as opposed to a key that is missing, empties the layer.
    """
    filled = dict(layer)
    content = _CONTENTS.get(layer["type"])
    if content is None:
        return filled
    key = layer.get("field")
    if key is not None and key in values:
        filled[content] = as_text(values[key])
        if layer["type"] == "svg":
            filled["svg"] = ""
    elif layer["type"] in _WITH_PLACEHOLDERS:
        filled[content] = fill_text(layer[content], values)
    return filled


def fill_text(text: str, values: _Values) -> str:
    """Replace every placeholder by its value, or by its example when the data has no such key."""

    def value_of(found: re.Match[str]) -> str:
        key, example = found[1].strip(), found[2] or ""
        return as_text(values[key]) if key in values else example

    return PLACEHOLDER.sub(value_of, text)


def as_text(value: Any) -> str:
    """A JSON value as it stands in a text: null is empty, lists and objects are JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)


def is_visible(condition: Any, values: _Values) -> bool:
    """Whether a layer is shown. `condition` is a boolean or an object that the schema has checked."""
    if isinstance(condition, bool):
        return condition
    value = values.get(condition["field"])
    if isinstance(value, Decimal):
        value = float(value)  # as the numbers of the document are
    if "equals" in condition:
        wanted = condition["equals"]
        # in Python, unlike in JSON, true equals 1
        holds = isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)
    else:
        holds = bool(value)
    return holds is not condition["not"]


def mentioned_fields(document: Any) -> Iterator[tuple[str, str]]:
    """Every (key, example) that a document mentions, in its order, repeats included. Never raises.

    A data: URI is no example: it is an image and not a text that somebody could read.
    """
    layers = document.get("layers") if isinstance(document, dict) else None
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            yield from _mentioned_in(layer)


def _mentioned_in(layer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    visible, kind, key = layer.get("visible"), layer.get("type"), layer.get("field")
    kind = kind if isinstance(kind, str) else ""
    content = _CONTENTS.get(kind)
    text = layer.get(content) if content else None
    text = text if isinstance(text, str) else ""
    if content and isinstance(key, str) and key:
        example = fill_text(text, {}) if kind in _WITH_PLACEHOLDERS else text
        yield key, "" if example.startswith("data:") else example
    if kind in _WITH_PLACEHOLDERS:
        for found in PLACEHOLDER.finditer(text):
            yield found[1].strip(), found[2] or ""
    if isinstance(visible, dict) and isinstance(visible.get("field"), str) and visible["field"]:
        yield visible["field"], ""
