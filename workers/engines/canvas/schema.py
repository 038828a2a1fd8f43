"""Checks a Canvas document against the published schema and fills in its defaults.

`canvas.schema.json` is the only place that says what a document may hold: this module turns the part of JSON Schema
that the file uses into functions. A general validator would be slower and would say "is not valid under any of the
given schemas" where an author needs the layer, the field and what may stand there.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from workers.errors import TemplateError

SCHEMA_FILE: Final = Path(__file__).with_name("canvas.schema.json")
SCHEMA: Final[Mapping[str, Any]] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))

_Path = tuple[str | int, ...]
_Check = Callable[[Any, _Path], Any]
_NAMES: Final = {"string": "a text", "boolean": "true or false", "null": "null", "number": "a number"}
_SHOWN_CHARACTERS = 60


class _InvalidError(Exception):
    def __init__(self, path: _Path, sentence: str) -> None:
        super().__init__(sentence)
        self.path = path
        self.sentence = sentence


def check_document(document: Any) -> dict[str, Any]:
    """Give a copy of the document with every default in place.

    Raises TemplateError that names the layer, counted from 1, and the field.
    """
    try:
        checked: dict[str, Any] = _check(document, ())
    except _InvalidError as error:
        raise TemplateError(f"{_place(document, error.path)}{error.sentence}") from None
    return checked


def name_layer(number: int, layer: Mapping[str, Any]) -> str:
    """What messages call a layer: `layer 3 (text "headline")`. `number` counts from 1."""
    kind, name = layer.get("type"), layer.get("name")
    words = [shown(kind)] if isinstance(kind, str) else []
    if isinstance(name, str) and name:
        words.append(f'"{shown(name)}"')
    return f"layer {number} ({' '.join(words)})" if words else f"layer {number}"


def shown(text: str) -> str:
    """A text as it may stand in a message: short, in one line, without halves of surrogate pairs."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_SHOWN_CHARACTERS])


def _place(document: Any, path: _Path) -> str:
    prefix = ""
    if len(path) > 1 and path[0] == "layers" and isinstance(path[1], int):
        layer = document["layers"][path[1]]
        prefix = f"{name_layer(path[1] + 1, layer if isinstance(layer, dict) else {})}: "
        path = path[2:]
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    if not field:
        return f"{prefix or 'the document '}"
    return f"{prefix}{field} "


# ---- From schema to functions -----------------------------------------------------------------------


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **beside}


def _compiled(schema: Mapping[str, Any]) -> _Check:
    schema = _resolved(schema)
    return _COMPILERS[_form(schema)](schema)


def _form(schema: Mapping[str, Any]) -> str:
    """What decides how a schema is read: the word for a choice, else its type."""
    for word in ("oneOf", "const", "enum"):
        if word in schema:
            return word
    types = schema["type"]
    return types if isinstance(types, str) else "several"


def _one_of(schema: Mapping[str, Any]) -> _Check:
    """Pick the branch by the value's JSON type and, among objects, by what their `type` must be."""
    branches = [_resolved(branch) for branch in schema["oneOf"]]
    by_kind = {branch["properties"]["type"]["const"]: _compiled(branch) for branch in branches if _has_kind(branch)}
    by_type = [(_types(branch), _compiled(branch)) for branch in branches if not _has_kind(branch)]
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if isinstance(value, dict) and by_kind:
            kind = value.get("type")
            if not isinstance(kind, str) or kind not in by_kind:
                raise _InvalidError((*path, "type"), f"must be one of {', '.join(by_kind)}")
            return by_kind[kind](value, path)
        found = _types_of(value)
        for types, branch in by_type:
            if types & found:
                return branch(value, path)
        raise _InvalidError(path, f"must be {expected}")

    return check


def _has_kind(branch: Mapping[str, Any]) -> bool:
    return "const" in branch.get("properties", {}).get("type", {})


def _choice(schema: Mapping[str, Any]) -> _Check:
    allowed = [schema["const"]] if "const" in schema else schema["enum"]
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if isinstance(value, bool) or value not in allowed:
            raise _InvalidError(path, f"must be {expected}")
        return value

    return check


def _object(schema: Mapping[str, Any]) -> _Check:
    checks = {name: _compiled(field) for name, field in schema["properties"].items()}
    defaults = {
        name: checks[name](field["default"], ())
        for name, field in ((name, _resolved(field)) for name, field in schema["properties"].items())
        if "default" in field
    }
    required = schema.get("required", [])
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if not isinstance(value, dict):
            raise _InvalidError(path, f"must be {expected}")
        for name in required:
            if name not in value:
                raise _InvalidError((*path, name), "is missing")
        found = dict(defaults)
        for name, content in value.items():
            if name not in checks:
                raise _InvalidError(path, _unknown(name, checks))
            found[name] = checks[name](content, (*path, name))
        return found

    return check


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name[:_SHOWN_CHARACTERS], known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f'has a field "{shown(name)}" that is not known; {hint}'


def _array(schema: Mapping[str, Any]) -> _Check:
    item = _compiled(schema["items"])
    low, high = schema.get("minItems", 0), schema["maxItems"]
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if not isinstance(value, list):
            raise _InvalidError(path, f"must be {expected}")
        if not low <= len(value) <= high:
            raise _InvalidError(path, f"must be {expected}, not of {len(value)}")
        return [item(content, (*path, place)) for place, content in enumerate(value)]

    return check


def _number(schema: Mapping[str, Any]) -> _Check:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    above = "exclusiveMinimum" in schema
    high = schema["maximum"]
    whole = schema["type"] == "integer"
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        fits = (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and low <= value <= high
            and not (above and value == low)
            and not (whole and value != int(value))
        )
        if not fits:
            raise _InvalidError(path, f"must be {expected}")
        return int(value) if whole else value

    return check


def _string(schema: Mapping[str, Any]) -> _Check:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    pattern = re.compile(schema["pattern"]) if "pattern" in schema else None
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if not isinstance(value, str) or len(value) < low or (pattern and not pattern.fullmatch(value)):
            raise _InvalidError(path, f"must be {expected}")
        if high is not None and len(value) > high:
            raise _InvalidError(path, f"must be {expected}, not of {len(value)}")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _InvalidError(path, "holds half of a surrogate pair, which is not text")
        return value

    return check


def _plain(schema: Mapping[str, Any]) -> _Check:
    types = _types(schema)
    expected = _describe(schema)

    def check(value: Any, path: _Path) -> Any:
        if not _types_of(value) & types:
            raise _InvalidError(path, f"must be {expected}")
        return value

    return check


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    types = schema["type"]
    return frozenset([types] if isinstance(types, str) else types)


def _types_of(value: Any) -> frozenset[str]:
    match value:
        case None:
            return frozenset({"null"})
        case bool():
            return frozenset({"boolean"})
        case int() | float():
            return frozenset({"number", "integer"})
        case str():
            return frozenset({"string"})
        case list():
            return frozenset({"array"})
        case _:
            return frozenset({"object"})


# ---- What may stand somewhere, in words -------------------------------------------------------------


def _describe(schema: Mapping[str, Any]) -> str:
    schema = _resolved(schema)
    return str(schema["title"]) if "title" in schema else _DESCRIPTIONS[_form(schema)](schema)


def _describe_string(schema: Mapping[str, Any]) -> str:
    least = "1 to" if schema.get("minLength") else "at most"
    return f"a text of {least} {schema['maxLength']:,} characters" if "maxLength" in schema else "a text"


def _describe_array(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minItems", 0), schema["maxItems"]
    return f"a list of {low if low == high else f'{low} to {high}'}"


def _describe_number(schema: Mapping[str, Any]) -> str:
    noun = "a whole number" if schema["type"] == "integer" else "a number"
    if "exclusiveMinimum" in schema:
        return f"{noun} above {schema['exclusiveMinimum']} and up to {schema['maximum']}"
    return f"{noun} from {schema['minimum']} to {schema['maximum']}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


_COMPILERS: Final[Mapping[str, Callable[[Mapping[str, Any]], _Check]]] = {
    "oneOf": _one_of,
    "const": _choice,
    "enum": _choice,
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _number,
    "string": _string,
    "boolean": _plain,
    "null": _plain,
    "several": _plain,
}
_DESCRIPTIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "oneOf": lambda schema: _listed([_describe(branch) for branch in schema["oneOf"]]),
    "const": lambda schema: json.dumps(schema["const"]),
    "enum": lambda schema: f"one of {', '.join(schema['enum'])}",
    "object": lambda _: "an object",
    "array": _describe_array,
    "number": _describe_number,
    "integer": _describe_number,
    "string": _describe_string,
    "boolean": lambda _: "true or false",
    "null": lambda _: "null",
    "several": lambda schema: _listed([_NAMES[kind] for kind in schema["type"]]),
}
_check: Final = _compiled({**SCHEMA, "title": "an object with width, height and layers"})
