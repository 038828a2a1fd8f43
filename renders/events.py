"""What webhooks are told of a render's end.

The body is put together by the database, in the statement that ends the render: only there its last words are known,
and so nothing is read or sent for teams that nobody listens to. `data` is the caller's own text, byte for byte.
"""

import json
from typing import Final

from renders.models import format_url, main_url
from templates_app.models import Engine

COLUMNS: Final = """id, team_id, job_id, template_id, template_name, status, engine, format, formats, data, error,
        webhook_url, created_at, finished_at"""
"""What RENDER_ENDED needs of a CTE `done`, which has the row of a render that has just ended, or none."""

# concat() leaves NULL out. Words of ours and ids have nothing to escape.
RENDER_ENDED: Final = """happened AS NOT MATERIALIZED (
    SELECT 'evt_render_' || id AS event_id, team_id, 'render.' || status AS name, id AS render_id, webhook_url,
        concat(
            '{"event_id":"evt_render_', id, '","event":"render.', status, '","render_id":"', id,
            '","job_id":"', job_id, '","template_id":"', template_id, '","template_name":', to_json(template_name),
            ',"status":"', status, '","url":', coalesce(to_json(%(url)s::text), 'null'), ',"format":"', format, '"',
            CASE WHEN engine = 'docx' THEN ',"files":' || coalesce(%(files)s::text, '[{"format":"' || array_to_string(
                coalesce(nullif(formats, '{}'), ARRAY[format]), '","url":null},{"format":"') || '","url":null}]') END,
            ',"data":', data, ',"error":', coalesce(to_json(error), 'null'),
            ',"created_at":"', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            '","completed_at":"', to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '"}'
        ) AS body
    FROM done
)"""
"""The CTE `happened` of `webhooks.outbox`."""
NO_ADDRESSES: Final[dict[str, str | None]] = {"url": None, "files": None}
"""The parameters of RENDER_ENDED for a render that failed."""


def addresses(
    *, render_id: str, visibility: str, engine: str, main_format: str, formats: list[str]
) -> dict[str, str | None]:
    """Return the parameters of RENDER_ENDED for a render that was completed: what the API shows from now on."""
    render = {"render_id": render_id, "visibility": visibility}
    files = [{"format": each, "url": format_url(**render, format=each)} for each in formats]
    return {
        "url": main_url(**render, format=main_format),
        "files": json.dumps(files, separators=(",", ":")) if engine == Engine.DOCX else None,
    }
