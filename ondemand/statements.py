"""The statements about signed documents, written by hand: a fetch asks one question, whatever tables answer it."""

import datetime as dt
from typing import Any, Final, NamedTuple

from django.db import connection

from ondemand.models import SignedDocument


class Signed(NamedTuple):
    """A template's URL base, and the render of some data under it; without one, or once it was deleted, None."""

    base_id: str
    token: str
    signing_key: str
    version_id: str | None
    status: str | None


_FIND_SIGNED: Final = """
SELECT base.id, base.token, base.signing_key, render.template_version_id, render.status
FROM ondemand_urlbase AS base
LEFT JOIN ondemand_signeddocument AS document
    ON document.url_base_id = base.id AND document.data_sha256 = %(sha256)s
LEFT JOIN renders_render AS render ON render.id = document.render_id AND render.deleted_at IS NULL
WHERE base.template_id = %(template)s
"""


def find_signed(*, template_id: str, data_sha256: str) -> Signed | None:
    """Return the URL base of a template with what is signed for the data; None without a base."""
    row = _one(_FIND_SIGNED, {"template": template_id, "sha256": data_sha256})
    return Signed(*row) if row else None


# The base is locked against its end first. An older row is updated without change, which waits for whoever is
# writing it, locks it, and returns what that one left. The render named here is accepted later in the transaction.
_TAKE: Final = """
WITH base AS (SELECT id FROM ondemand_urlbase WHERE id = %(base)s FOR KEY SHARE)
INSERT INTO ondemand_signeddocument AS known (id, url_base_id, data_sha256, render_id)
SELECT %(id)s, base.id, %(sha256)s, %(render)s FROM base
ON CONFLICT (url_base_id, data_sha256) DO UPDATE SET data_sha256 = excluded.data_sha256
RETURNING known.id, known.render_id, known.previous_render_id
"""


class Taken(NamedTuple):
    """A signed document that this transaction may change."""

    id: str
    render_id: str
    previous_render_id: str | None


def take(document: SignedDocument) -> Taken | None:
    """Insert this row, or lock the one that there is for its data; None when its URL base has ended."""
    values = {
        "id": document.id,
        "base": document.url_base_id,
        "sha256": document.data_sha256,
        "render": document.render_id,
    }
    row = _one(_TAKE, values)
    return Taken(*row) if row else None


class Shown(NamedTuple):
    """What a visitor's URL leads to, as far as there is something."""

    base_id: str
    signing_key: str
    team_id: str
    render_id: str | None
    """The newest render; None when the data was never signed, or the render was deleted."""
    status: str | None
    shown_id: str | None
    """The render whose file is shown: the newest one, or the previous one when that failed."""
    filename: str | None
    finished_at: dt.datetime | None
    format: str | None
    key: str | None
    media_type: str | None
    size_bytes: int | None
    sha256: str | None


_FIND_SHOWN: Final = """
SELECT base.id, base.signing_key, base.team_id, newest.id, newest.status, shown.id, shown.filename,
    shown.finished_at, file.format, file.key, file.media_type, file.size_bytes, file.sha256
FROM ondemand_urlbase AS base
JOIN templates_app_template AS template ON template.id = base.template_id AND template.deleted_at IS NULL
LEFT JOIN ondemand_signeddocument AS document
    ON document.url_base_id = base.id AND document.data_sha256 = %(sha256)s
LEFT JOIN renders_render AS newest ON newest.id = document.render_id AND newest.deleted_at IS NULL
LEFT JOIN renders_render AS shown ON shown.deleted_at IS NULL
    AND shown.id = CASE newest.status WHEN 'failed' THEN document.previous_render_id ELSE newest.id END
LEFT JOIN renders_renderfile AS file ON file.render_id = shown.id AND file.format = shown.format
WHERE base.token = %(token)s
"""


def find_shown(*, token: str, data_sha256: str) -> Shown | None:
    """Return what there is for the data under a token; None when nobody has the token. It tells no visitor yet."""
    row = _one(_FIND_SHOWN, {"token": token, "sha256": data_sha256})
    return Shown(*row) if row else None


def _one(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
