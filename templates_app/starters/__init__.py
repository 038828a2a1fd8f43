"""Templates that a new team begins with. A starter is a folder beside this file."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_FOLDER = Path(__file__).parent
_SOURCES: Final = {"typst": "template.typ", "canvas": "template.json", "docx": "template.docx"}
"""The file that holds the source, by engine."""


@dataclass(frozen=True, slots=True)
class Starter:
    slug: str
    name: str
    engine: str
    description: str
    source: str | bytes  # bytes of a Word file, which is clean already
    data: Mapping[str, Any]  # sample data; the source also renders without any
    fields: Sequence[Mapping[str, Any]] = ()  # of a Word file; the other engines' are read from the source


def load_starters(within: Path = _FOLDER, *, engines: Collection[str] = ("typst",)) -> list[Starter]:
    """The starters for these engines, by slug.

    Raises ValueError that names the folder and the file when a starter is incomplete: a broken one must stop the
    build, not the first customer.
    """
    folders = sorted(path.parent for path in within.glob("*/starter.json"))
    return [starter for starter in map(_load, folders) if starter.engine in engines]


def _load(folder: Path) -> Starter:
    about = _json_object(folder / "starter.json")
    texts = [about.get(key) for key in ("name", "engine", "description")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{folder.name}/starter.json must give a name, an engine and a description")
    name, engine, description = map(str, texts)
    if engine not in _SOURCES:
        raise ValueError(f"{folder.name}/starter.json names no engine that there is: {engine}")
    path = folder / _SOURCES[engine]
    source = _bytes(path) if engine == "docx" else _text(path)
    if not source.strip():
        raise ValueError(f"{folder.name}/{path.name} is empty")
    data, fields = _json_object(folder / "data.json"), about.get("fields", [])
    if (engine == "docx") != bool(fields):
        raise ValueError(f"{folder.name}/starter.json must list the fields of a Word file, and of nothing else")
    return Starter(folder.name, name, engine, description, source, data, fields)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{path.parent.name}/{path.name} cannot be read") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.parent.name}/{path.name} cannot be read as text") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.parent.name}/{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path.parent.name}/{path.name} must hold an object")  # noqa: TRY004  # one error for all
    return value
