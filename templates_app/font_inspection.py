"""What a worker does with an uploaded font: set text in it with every engine, each in a child of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog
from django.db import connection

from automette.lib import store
from templates_app import blobs, engines
from templates_app.font_faces import families_of, read_faces
from templates_app.models import Engine
from workers.docx.font_sample import sample_document
from workers.docx.office import find_program
from workers.errors import EngineError, EngineUnavailableError, RenderError, TemplateError
from workers.job import RenderJob
from workers.pool import EnginePool

log = structlog.get_logger(__name__)

_UNUSABLE: Final = "An engine failed to set text in this font. The file is damaged; get it anew from its maker."
_NOT_IN_WORD: Final = "LibreOffice does not set text in this font: Word templates that name it get another one."


def inspect_font(*, team_id: str, sha256: str) -> dict[str, Any]:
    """Try a font out: `{families, faces, warnings}`, ready to be kept.

    Else `{error, retry}`: a sentence for the caller, or for nobody when the fault is ours and a repeat may help.
    """
    connection.close()  # nothing of the database is held while an engine works
    try:
        path = blobs.local_copy(team_id, sha256)
        job = RenderJob(source="", format="font", files={"font.ttf": path}, limits=engines.limits(Engine.TYPST))
        document = engines.pool(Engine.TYPST).render(team_id, job)
        faces = read_faces(document.found)
        families = families_of(faces)
        is_used = _is_used_in_word(team_id, path, families[0])
    except RenderError as error:
        log.info("font_refused", code=error.code, retry=error.retry)
        return {"error": error.message if isinstance(error, TemplateError) else _UNUSABLE, "retry": error.retry}
    except ValueError:
        log.error("font_inspection_not_understood", team_id=team_id)  # noqa: TRY400  # the trace would say no more
        return {"error": _UNUSABLE, "retry": False}
    except store.StoreUnavailableError as error:
        log.warning("store_unavailable", error=str(error))
        return {"error": "The file store is not reachable.", "retry": True}
    warnings = [*document.warnings, *([] if is_used else [_NOT_IN_WORD])]
    return {"families": families, "faces": faces, "warnings": warnings}


def _is_used_in_word(team_id: str, font: Path, family: str) -> bool:
    """Whether LibreOffice sets text in the font; true where there is no LibreOffice. Raises RenderError.

    A PDF names the fonts by their PostScript names, which need not be like the family's; so what counts is that
    another font than the server's is there.
    """
    if find_program() is None:
        return True
    job = RenderJob(source=sample_document(family), fonts=(font,), limits=engines.limits(Engine.DOCX))
    pool = engines.pool(Engine.DOCX)
    try:
        used = pool.render(team_id, job).fonts_used
    except EngineError as error:
        _blame_nobody_if_word_is_broken(pool, team_id, replace(job, fonts=()))
        raise error from None
    return family in used or not set(used) <= set(_server_families(team_id))


def _blame_nobody_if_word_is_broken(pool: EnginePool, team_id: str, job: RenderJob) -> None:
    """Raise EngineUnavailableError when the same document fails without the font as well."""
    try:
        pool.render(team_id, job)
    except EngineError as error:
        raise EngineUnavailableError("LibreOffice fails without the font as well") from error


def list_server_families(*, team_id: str) -> dict[str, Any]:
    """Return `{families}`: those that every template may name; else `{error, retry}`."""
    connection.close()
    try:
        return {"families": _server_families(team_id)}
    except (RenderError, ValueError) as error:
        log.error("font_families_not_listed", error=str(error))  # noqa: TRY400  # the trace would say no more
        return {"error": "The fonts of this server could not be listed.", "retry": True}


def _server_families(team_id: str) -> list[str]:
    job = RenderJob(source="", format="font", limits=engines.limits(Engine.TYPST))
    return families_of(read_faces(engines.pool(Engine.TYPST).render(team_id, job).found))
