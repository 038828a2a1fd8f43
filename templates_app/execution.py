"""What a worker does for templates: look at an uploaded Word file inside an engine's child."""

from typing import Any, Final

import structlog
from django.db import connection

from automette.lib import store
from templates_app import blobs, engines
from templates_app.models import Engine
from templates_app.word_fields import read_found, storable_text
from workers.errors import RenderError
from workers.job import RenderJob

log = structlog.get_logger(__name__)

_MAX_WARNINGS: Final = 50


def inspect_docx(*, team_id: str, sha256: str) -> dict[str, Any]:
    """Clean an upload and read its fields: `{sha256, fields, warnings}` with the blob of the cleaned file.

    Else `{error, retry}`: a sentence for the author, or for nobody when the fault is ours and a repeat may help.
    """
    connection.close()  # nothing of the database is held while an engine works
    try:
        upload = blobs.local_copy(team_id, sha256).read_bytes()
        job = RenderJob(source=upload, format="template", limits=engines.limits(Engine.DOCX))
        document = engines.pool(Engine.DOCX).render(team_id, job)
        fields = read_found(document.found.get("fields"))
        warnings = [storable_text(warning) for warning in document.warnings[:_MAX_WARNINGS]]
        clean = blobs.put(team_id, document.content)
    except RenderError as error:
        log.info("docx_refused", code=error.code, retry=error.retry)
        return {"error": storable_text(error.message), "retry": error.retry}
    except ValueError:
        log.error("docx_inspection_not_understood", team_id=team_id)  # noqa: TRY400  # the trace would say no more
        return {"error": "The document could not be read.", "retry": False}
    except store.StoreUnavailableError as error:
        log.warning("store_unavailable", error=str(error))
        return {"error": "The file store is not reachable.", "retry": True}
    return {"sha256": clean, "fields": fields, "warnings": warnings}
