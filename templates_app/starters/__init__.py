"""Templates that a new team begins with. A starter is a folder beside this file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Starter:
    slug: str
    name: str
    engine: str
    description: str
    source: str
    data: Mapping[str, Any]  # sample data; the source also renders without any


def load_starters(within: Path = _FOLDER) -> list[Starter]:
    """All starters by slug.

    Raises ValueError that names the folder and the file when a starter is incomplete: a broken one must stop the
    build, not the first customer.
    """
    folders = (path.parent for path in within.glob("*/starter.json"))
    return [_load(folder) for folder in sorted(folders)]


def _load(folder: Path) -> Starter:
    about = _json_object(folder / "starter.json")
    texts = [about.get(key) for key in ("name", "engine", "description")]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"{folder.name}/starter.json must give a name, an engine and a description")
    source = _text(folder / "template.typ")
    if not source.strip():
        raise ValueError(f"{folder.name}/template.typ is empty")
    name, engine, description = map(str, texts)
    return Starter(folder.name, name, engine, description, source, _json_object(folder / "data.json"))


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
