"""Which files an engine gets besides a template's source: those of its version, and assets that may matter."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from templates_app.models import Engine

# A team's assets are all offered while they are few: only Typst itself knows which names a template puts together.
FEW_ASSETS: Final = 50
FEW_BYTES: Final = 20 << 20


class AssetInUse(NamedTuple):
    """A file that a render finds by its name; `own` when it belongs to the template, not to the whole team."""

    name: str
    sha256: str
    size_bytes: int
    own: bool


def choose_assets(
    *, engine: str, text: str, version_files: Mapping[str, str], assets: Iterable[AssetInUse]
) -> dict[str, str]:
    """Return name and SHA-256 of each asset that a document gets; `text` is its source, its modules and its data."""
    kept = without_clashes(version_files, _hiding(assets))
    return {name: kept[name].sha256 for name in offered(engine=engine, text=text, assets=kept)}


def text_of_modules(files: Mapping[str, Path]) -> str:
    """Return the text of the Typst modules among files: they name assets as well."""
    return "".join(path.read_text(errors="replace") for name, path in files.items() if name.endswith(".typ"))


def _hiding(assets: Iterable[AssetInUse]) -> dict[str, AssetInUse]:
    """Return the assets by name; the template's own ones come last and so hide the team's."""
    return {asset.name: asset for asset in sorted(assets, key=lambda asset: asset.own)}


def without_clashes(files: Iterable[str], assets: Mapping[str, AssetInUse]) -> dict[str, AssetInUse]:
    """Leave out what a file of the version hides, or what would be a file and a folder at once; own ones go first."""
    taken = set(files)
    folders = {folder for name in taken for folder in _folders(name)}
    kept: dict[str, AssetInUse] = {}
    for asset in sorted(assets.values(), key=lambda asset: not asset.own):
        above = _folders(asset.name)
        if asset.name not in taken | folders and taken.isdisjoint(above):
            kept[asset.name] = asset
            taken.add(asset.name)
            folders |= above
    return kept


def _folders(name: str) -> set[str]:
    return {str(folder) for folder in PurePosixPath(name).parents[:-1]}


def offered(*, engine: str, text: str, assets: Mapping[str, AssetInUse]) -> set[str]:
    """Return the names of the assets that could matter: the template's own, and of the team's all or the named ones.

    A Canvas document names each file in full, in itself or in its data; elsewhere a name may be put together.
    """
    few = len(assets) <= FEW_ASSETS and sum(asset.size_bytes for asset in assets.values()) <= FEW_BYTES
    if few and engine != Engine.CANVAS:
        return set(assets)
    return {
        asset.name
        for asset in assets.values()
        if (asset.own and engine != Engine.CANVAS) or _is_named(asset.name, text)
    }


def _is_named(name: str, text: str) -> bool:
    base = name.rpartition("/")[2]
    return json.dumps(base, ensure_ascii=False)[1:-1] in text  # as it stands in JSON, and in Typst's strings
