"""What an engine gets for a claimed render: its source, and the files and fonts that it may use."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from renders.statements import AssetInUse, Claim
from templates_app import blobs, engines
from templates_app.models import WORD_FILE, Engine
from workers.job import RenderJob

# A team's assets are all offered while they are few: only Typst itself knows which names a template puts together.
FEW_ASSETS: Final = 50
FEW_BYTES: Final = 20 << 20


def make_job(taken: Claim) -> RenderJob:
    """Bring everything here that the render may use. Raises store.StoreUnavailableError."""
    assets = _without_clashes(taken.version_files, _hiding(taken.assets))
    wanted = {name: asset.sha256 for name, asset in assets.items() if name in _offered(taken, assets)}
    files = {
        name: blobs.local_copy(taken.team_id, sha256) for name, sha256 in {**wanted, **taken.version_files}.items()
    }
    return RenderJob(
        source=_word_file(files) if taken.engine == Engine.DOCX else taken.source,
        data=taken.data.encode(),
        format="both" if len(taken.formats) > 1 else taken.format,
        # The engine has no clock: a document is dated when it was asked for, the same in every attempt.
        options={"timestamp": int(taken.created_at.timestamp()), **taken.options},
        files=files,
        fonts=tuple(blobs.local_copy(taken.team_id, sha256) for sha256 in taken.fonts),
        limits=engines.limits(taken.engine),
    )


def _word_file(files: dict[str, Path]) -> bytes:
    return files.pop(WORD_FILE).read_bytes()


def _hiding(assets: Iterable[AssetInUse]) -> dict[str, AssetInUse]:
    """Return the assets by name; the template's own ones come last and so hide the team's."""
    return {asset.name: asset for asset in sorted(assets, key=lambda asset: asset.own)}


def _without_clashes(files: Iterable[str], assets: dict[str, AssetInUse]) -> dict[str, AssetInUse]:
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


def _offered(taken: Claim, assets: dict[str, AssetInUse]) -> set[str]:
    """Return the names of the assets that could matter: the template's own, and of the team's all or the named ones.

    A Canvas document names each file in full, in itself or in its data; elsewhere a name may be put together.
    """
    few = len(assets) <= FEW_ASSETS and sum(asset.size_bytes for asset in assets.values()) <= FEW_BYTES
    if few and taken.engine != Engine.CANVAS:
        return set(assets)
    text = taken.source + taken.data
    return {
        asset.name
        for asset in assets.values()
        if (asset.own and taken.engine != Engine.CANVAS) or _is_named(asset.name, text)
    }


def _is_named(name: str, text: str) -> bool:
    base = name.rpartition("/")[2]
    return json.dumps(base, ensure_ascii=False)[1:-1] in text  # as it stands in JSON, and in Typst's strings
