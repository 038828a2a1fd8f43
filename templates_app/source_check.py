"""What a worker does with a source that is to become a version: make one document of it, which nobody keeps."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from django.db import connection
from django.db.models import Q

from automette.lib import store
from templates_app import blobs, engines
from templates_app.models import FORMATS, Asset, Engine, Font
from templates_app.offered_files import AssetInUse, choose_assets, text_of_modules
from templates_app.word_fields import storable_text
from workers.engines.typst_causes import is_missing_value, is_surely_the_source, split_place
from workers.errors import RemoteFilesNeededError, RenderError, TemplateError
from workers.job import RenderJob

log = structlog.get_logger(__name__)

_SECONDS: Final = 10.0
_MAX_WARNINGS: Final = 50
_HINT: Final = "Give the value a default in the source, or send example_data, with which it is compiled then."
_NOT_FETCHED: Final = "The document was not drawn to its end: images by address are fetched by renders only."
_NOT_TO_THE_END: Final = (
    "The source was not compiled to its end, because it reads data without a default. Send example_data to have all "
    "of it checked. With a text for every such value: "
)


def pack_question(
    *, engine: str, source: str, files: Mapping[str, str], example_data: str, fields: Iterable[Mapping[str, Any]]
) -> bytes:
    """Return what `check_source` is asked, to travel as a blob."""
    stand_ins = {field["key"]: field["key"] for field in fields if not field["example"]}
    question = {
        "engine": engine,
        "source": source,
        "files": dict(files),
        "data": example_data,
        "stand_ins": stand_ins,
    }
    return json.dumps(question).encode()


def check_source(*, team_id: str, sha256: str, template_id: str | None) -> dict[str, Any]:
    """Make a document of a source: `{warnings}` when that goes well.

    Else `{error, diagnostics, retry}`: sentences for the author, or for nobody when the fault is ours and a repeat
    may help.
    """
    try:
        question = json.loads(blobs.local_copy(team_id, sha256).read_bytes())
        warnings = _try_out(team_id, question, _job(team_id, template_id, question))
    except RenderError as error:
        log.info("source_refused", code=error.code, retry=error.retry)
        return _refusal(error)
    except store.StoreUnavailableError as error:
        log.warning("store_unavailable", error=str(error))
        return {"error": "The file store is not reachable.", "diagnostics": [], "retry": True}
    return {"warnings": [storable_text(warning) for warning in warnings[:_MAX_WARNINGS]]}


def _job(team_id: str, template_id: str | None, question: dict[str, Any]) -> RenderJob:
    rows = Asset.objects.filter(Q(template=None) | Q(template_id=template_id), team_id=team_id)
    in_use = [AssetInUse(row.name, row.sha256, row.size_bytes, row.template_id is not None) for row in rows]
    fonts = list(Font.objects.filter(team_id=team_id).order_by("sha256").values_list("sha256", flat=True))
    connection.close()  # nothing of the database is held while an engine works
    own = {name: blobs.local_copy(team_id, sha256) for name, sha256 in question["files"].items()}
    assets = choose_assets(
        engine=question["engine"],
        text=question["source"] + question["data"] + text_of_modules(own),
        version_files=question["files"],
        assets=in_use,
    )
    limits = engines.limits(question["engine"])
    return RenderJob(
        source=question["source"],
        data=(question["data"] or "{}").encode(),
        format=FORMATS[question["engine"]][0],
        options={"timestamp": 0},
        files={**{name: blobs.local_copy(team_id, sha256) for name, sha256 in assets.items()}, **own},
        fonts=tuple(blobs.local_copy(team_id, sha256) for sha256 in fonts),
        limits=replace(limits, wall_seconds=min(limits.wall_seconds, _SECONDS)),
    )


def _try_out(team_id: str, question: dict[str, Any], job: RenderJob) -> list[str]:
    """Return what there is to say. Raises RenderError when the source cannot be what its author means."""
    try:
        return _render(team_id, question["engine"], job)
    except TemplateError as error:
        # With data of the author's there is no excuse, and where no value is missing none could help.
        if question["engine"] != Engine.TYPST or question["data"] or not question["stand_ins"]:
            raise
        if not is_missing_value(error.message):
            raise
    try:
        return _render(team_id, question["engine"], replace(job, data=json.dumps(question["stand_ins"]).encode()))
    except TemplateError as error:
        if is_surely_the_source(error.message, source=question["source"], stand_ins=question["stand_ins"]):
            raise
        return [_NOT_TO_THE_END + error.message]


def _render(team_id: str, engine: str, job: RenderJob) -> list[str]:
    try:
        return list(engines.pool(engine).render(team_id, job).warnings)
    except RemoteFilesNeededError:  # told after the whole document was read
        return [_NOT_FETCHED]


def _refusal(error: RenderError) -> dict[str, Any]:
    said = split_place(error.message)
    diagnostic: dict[str, Any] = {
        "file": said.file,
        "line": None,
        "column": None,
        "message": storable_text(said.message),
        "hint": None,
    }
    if isinstance(error, TemplateError):
        hint = storable_text("; ".join(error.hints)) or (_HINT if is_missing_value(error.message) else None)
        diagnostic |= {"line": error.line, "column": error.column, "hint": hint}
    return {"error": storable_text(error.message), "diagnostics": [diagnostic], "retry": error.retry}
