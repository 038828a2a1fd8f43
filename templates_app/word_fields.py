"""The fields of a Word template: what its tags ask for, and what its author says of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from automette.lib.errors import InvalidValueError

TYPES: Final = ("text", "date", "number", "array")
MAX_FIELDS: Final = 1000
_MAX_TEXT: Final = 1000

Field = dict[str, Any]


def read_found(value: Any) -> list[Field]:
    """Return the fields that an inspection found, if they are any: the child has read a stranger's file.

    Texts are made such that a database can hold them; of more than MAX_FIELDS one is kept, so that it is noticed.
    Raises ValueError.
    """
    if not isinstance(value, list) or not all(_is_field(field) for field in value):
        raise ValueError("not a list of fields")
    return [_storable(field) for field in value[: MAX_FIELDS + 1]]


def _is_field(field: Any) -> bool:
    return (
        isinstance(field, dict)
        and all(isinstance(field.get(name), str) for name in ("key", "label", "type", "example"))
        and isinstance(field.get("required"), bool)
        and field["type"] in TYPES
    )


def merge_fields(inferred: Sequence[Mapping[str, Any]], authored: Sequence[Mapping[str, Any]]) -> list[Field]:
    """Return the authored fields in their order, then those of the document that the author did not name.

    What the author leaves out of a field is taken from the document, for a key that it does not have from the key.
    Raises InvalidValueError for a key that is authored twice and for more than MAX_FIELDS.
    """
    found = {field["key"]: dict(field) for field in inferred}
    fields: dict[str, Field] = {}
    for field in authored:
        key = field["key"]
        if key in fields:
            raise InvalidValueError(f"fields: the key {key} is given twice.")
        fields[key] = {**_plain(key), **found.get(key, {}), **field}
    fields = {**fields, **{key: field for key, field in found.items() if key not in fields}}
    if len(fields) > MAX_FIELDS:
        raise InvalidValueError(f"fields: a template may have at most {MAX_FIELDS:,} fields.")
    return list(fields.values())


def _plain(key: str) -> Field:
    label = key.replace("_", " ").strip()
    return {
        "key": key,
        "label": label[:1].upper() + label[1:] or key,
        "type": "text",
        "required": False,
        "example": "",
    }


def _storable(field: Mapping[str, Any]) -> Field:
    return {name: storable_text(field[name]) if name != "required" else field[name] for name in _plain("")}


def storable_text(value: str) -> str:
    """Return a text from a child as a database and an answer can hold it: literals of a template may escape NUL."""
    return value.encode(errors="replace").decode().replace("\0", "")[:_MAX_TEXT]
