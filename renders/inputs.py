"""What an engine gets for a claimed render: its source, and the files and fonts that it may use."""

from pathlib import Path

from renders.statements import Claim
from templates_app import blobs, engines
from templates_app.models import WORD_FILE, Engine
from templates_app.offered_files import choose_assets, text_of_modules
from workers.job import RenderJob


def make_job(taken: Claim) -> RenderJob:
    """Bring everything here that the render may use. Raises store.StoreUnavailableError."""
    own = _local_copies(taken.team_id, taken.version_files)
    text = taken.source + taken.data + text_of_modules(own)
    assets = choose_assets(engine=taken.engine, text=text, version_files=taken.version_files, assets=taken.assets)
    files = {**_local_copies(taken.team_id, assets), **own}
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


def _local_copies(team_id: str, files: dict[str, str]) -> dict[str, Path]:
    return {name: blobs.local_copy(team_id, sha256) for name, sha256 in files.items()}


def _word_file(files: dict[str, Path]) -> bytes:
    return files.pop(WORD_FILE).read_bytes()
