"""The statements on a render's hot path: accept, claim, renew, give back, finish.

Each is one SQL statement, hence one transaction, prepared on the server after its second use. Written by hand: the
ORM's version of the same costs three times the CPU, and a single statement cannot be half done. They are the only
place where a render's state or its credit changes. All times are the database's.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.db import connection

from accounts.idempotency import RequestKey, values_of
from renders import events
from renders.models import MAX_ATTEMPTS, Render
from templates_app.offered_files import AssetInUse
from webhooks.outbox import OUTBOX, values_of_outbox


class TemplateInUse(NamedTuple):
    """What a render takes over from its template."""

    id: str
    name: str
    engine: str
    filename_pattern: str
    version_id: str


_FIND_TEMPLATE: Final = """
SELECT id, name, engine, filename_pattern, current_version_id
FROM templates_app_template
WHERE id = %(id)s AND team_id = %(team)s AND current_version_id IS NOT NULL AND deleted_at IS NULL
"""


def find_template(*, team_id: str, template_id: str) -> TemplateInUse | None:
    """Return a template of the team, or None."""
    row = _one(_FIND_TEMPLATE, {"id": template_id, "team": team_id})
    return TemplateInUse(*row) if row else None


_CHARGE: Final = """account AS (
    UPDATE credits_creditaccount SET credit_balance = credit_balance - 1
    WHERE team_id = %(team)s AND credit_balance + overage_limit >= 1
    RETURNING credit_balance
"""
# With an Idempotency-Key only who puts the key's row in (or takes over that of more than a day ago) is charged. The
# account is locked first: a key must not be remembered for a render that could not be paid.
_CHARGE_ONCE: Final = """payer AS (
    SELECT team_id FROM credits_creditaccount
    WHERE team_id = %(team)s AND credit_balance + overage_limit >= 1
    FOR NO KEY UPDATE
), request AS (
    INSERT INTO accounts_idempotentrequest AS known (team_id, route, key, fingerprint, render_id, body)
    SELECT team_id, %(route)s, %(key)s, %(fingerprint)s, %(id)s, '' FROM payer
    ON CONFLICT (team_id, route, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, render_id = excluded.render_id, status = NULL, body = '',
        created_at = statement_timestamp()
    WHERE known.created_at <= statement_timestamp() - %(kept)s
    RETURNING known.team_id
), account AS (
    UPDATE credits_creditaccount AS credit SET credit_balance = credit.credit_balance - 1
    FROM request WHERE credit.team_id = request.team_id
    RETURNING credit.credit_balance
"""
_CREATE: Final = """), charge AS (
    INSERT INTO credits_ledgerentry (team_id, kind, amount, balance_after, render_id, actor)
    SELECT %(team)s, 'charge', -1, credit_balance, %(id)s, %(actor)s FROM account
), job AS (
    INSERT INTO renders_job (id, team_id, source) SELECT %(job)s, %(team)s, %(source)s FROM account
)
INSERT INTO renders_render (
    id, team_id, job_id, template_id, template_version_id, template_name, engine, format, formats, visibility,
    data, options, filename, webhook_url, queue, status, attempt, rings, error_code, report,
    superseded_files_deleted, expires_in, ring_at)
SELECT %(id)s, %(team)s, %(job)s, %(template)s, %(version)s, %(template_name)s, %(engine)s, %(format)s,
    %(formats)s::text[], %(visibility)s, %(data)s, %(options)s::jsonb,
    %(filename)s, %(webhook_url)s, %(queue)s::text, 'pending', 0, 0, '', '{}', false,
    CASE WHEN NOT %(keep_files)s::boolean THEN
        coalesce(%(expires_in)s::int, (SELECT files_expire_after_seconds FROM accounts_team WHERE id = %(team)s)) END,
    CASE WHEN %(at_once)s::int > 0 AND %(at_once)s::int <= (
        SELECT count(*) FROM (
            SELECT FROM renders_render
            WHERE team_id = %(team)s AND queue = %(queue)s::text
                AND status IN ('pending', 'running') AND ring_at IS NOT NULL
            LIMIT %(at_once)s::int
        ) AS under_way
    ) THEN NULL ELSE statement_timestamp() + interval '5 seconds' END
FROM account
RETURNING created_at, ring_at
"""
_ACCEPT: Final = "WITH " + _CHARGE + _CREATE
_ACCEPT_ONCE: Final = "WITH " + _CHARGE_ONCE + _CREATE


def accept(
    render: Render,
    *,
    source: str,
    actor: str,
    at_once: int = 0,
    key: RequestKey | None = None,
    keep_files: bool = False,
) -> bool:
    """Charge one credit and create the job and the render; set `created_at` and `ring_at` on the given row.

    With `at_once` it is throttled when so many renders of the team are under way in its queue (`renders.shares`):
    then no message may be sent. With `key` it is remembered as what that request led to. With `keep_files` its files
    never expire, whatever the team's time is. Returns False, with nothing created, when the team has no credit left,
    or when `key` is taken.
    """
    values = {
        "id": render.id,
        "team": render.team_id,
        "job": render.job_id,
        "source": source,
        "actor": actor,
        "template": render.template_id,
        "version": render.template_version_id,
        "template_name": render.template_name,
        "engine": render.engine,
        "format": render.format,
        "formats": render.formats,
        "visibility": render.visibility,
        "data": render.data,
        "options": json.dumps(render.options),
        "filename": render.filename,
        "webhook_url": render.webhook_url,
        "queue": render.queue,
        "expires_in": render.expires_in,
        "at_once": at_once,
        "keep_files": keep_files,
    }
    row = _one(_ACCEPT_ONCE, {**values, **values_of(key)}) if key else _one(_ACCEPT, values)
    if row is None:
        return False
    render.created_at, render.ring_at = row
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a worker needs to render: the row's words at the moment it was claimed."""

    render_id: str
    attempt: int
    team_id: str
    engine: str
    format: str
    visibility: str
    data: str
    options: dict[str, Any]
    created_at: dt.datetime
    source: str
    formats: list[str]
    version_files: dict[str, str]
    assets: tuple[AssetInUse, ...]
    fonts: tuple[str, ...]
    queue: str


_CLAIM: Final = """
UPDATE renders_render AS render
SET status = 'running', attempt = render.attempt + 1,
    lease_expires_at = statement_timestamp() + make_interval(secs => %(lease)s),
    ring_at = statement_timestamp() + make_interval(secs => %(lease)s),
    started_at = coalesce(render.started_at, statement_timestamp())
FROM templates_app_templateversion AS version
WHERE render.id = %(id)s AND version.id = render.template_version_id AND render.attempt < %(max_attempts)s
    AND (render.status = 'pending' OR (render.status = 'running' AND render.lease_expires_at < statement_timestamp()))
RETURNING render.id, render.attempt, render.team_id, render.engine, render.format, render.visibility, render.data,
    render.options::text, render.created_at, version.source, render.formats, version.files::text, (
        SELECT json_agg(json_build_array(asset.name, asset.sha256, asset.size_bytes, asset.template_id IS NOT NULL)
            ORDER BY asset.name, asset.template_id)::text
        FROM templates_app_asset AS asset
        WHERE asset.team_id = render.team_id
            AND (asset.template_id = version.template_id OR asset.template_id IS NULL)
    ), (SELECT array_agg(font.sha256 ORDER BY font.sha256) FROM templates_app_font AS font
        WHERE font.team_id = render.team_id), render.queue
"""


def claim(render_id: str, *, lease_seconds: float) -> Claim | None:
    """Take a render for this worker; None means that it is finished, taken, or used up."""
    row = _one(_CLAIM, {"id": render_id, "lease": lease_seconds, "max_attempts": MAX_ATTEMPTS})
    if row is None:
        return None
    claimed = dict(zip((field.name for field in dataclasses.fields(Claim)), row, strict=True))
    parsed = {
        "options": json.loads(claimed["options"]),
        "version_files": json.loads(claimed["version_files"]),
        "assets": tuple(AssetInUse(*asset) for asset in json.loads(claimed["assets"] or "[]")),
        "fonts": tuple(claimed["fonts"] or ()),
    }
    return Claim(**{**claimed, **parsed})


_RENEW: Final = """
UPDATE renders_render AS render
SET lease_expires_at = statement_timestamp() + make_interval(secs => %(lease)s),
    ring_at = statement_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(ids)s::text[], %(attempts)s::int[]) AS mine (id, attempt)
WHERE render.id = mine.id AND render.attempt = mine.attempt AND render.status = 'running'
RETURNING render.id, render.attempt
"""


def renew(held: Sequence[tuple[str, int]], *, lease_seconds: float) -> set[tuple[str, int]]:
    """Prolong the leases of (render id, attempt) pairs; return those that are still this worker's."""
    ids, attempts = zip(*held, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"ids": list(ids), "attempts": list(attempts), "lease": lease_seconds})
        return set(cursor.fetchall())


_GIVE_BACK: Final = """
UPDATE renders_render
SET status = 'pending', lease_expires_at = NULL, ring_at = statement_timestamp() + make_interval(secs => %(pause)s)
WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'running'
RETURNING id
"""


def give_back(taken: Claim, *, pause_seconds: float) -> bool:
    """Let another attempt begin after a pause; False when this attempt no longer owns the render."""
    values = {"id": taken.render_id, "attempt": taken.attempt, "pause": pause_seconds}
    return _one(_GIVE_BACK, values) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies in the store and is not visible yet."""

    format: str
    key: str
    media_type: str
    size_bytes: int
    sha256: str


class Ended(NamedTuple):
    """A render has ended; these deliveries are to be rung for."""

    delivery_ids: list[str]


_DONE_WELL: Final = """
WITH done AS (
    UPDATE renders_render
    SET status = 'completed', finished_at = statement_timestamp(), ring_at = NULL, lease_expires_at = NULL,
        pages = %(pages)s, report = %(report)s::jsonb,
        expires_at = statement_timestamp() + make_interval(secs => expires_in)
    WHERE id = %(id)s AND attempt = %(attempt)s AND status = 'running'
    RETURNING """
_FILES: Final = """
), file AS (
    INSERT INTO renders_renderfile (render_id, format, key, media_type, size_bytes, sha256)
    SELECT done.id, file.format, file.key, file.media_type, file.size_bytes, file.sha256
    FROM done, unnest(%(format)s::text[], %(key)s::text[], %(media_type)s::text[], %(size_bytes)s::bigint[],
        %(sha256)s::text[]) AS file (format, key, media_type, size_bytes, sha256)
), """
_DELIVERIES: Final = """
SELECT (SELECT string_agg(id, ' ') FROM delivery) FROM done
"""
_TELL: Final = events.RENDER_ENDED + ", " + OUTBOX + _DELIVERIES
_COMPLETE: Final = _DONE_WELL + events.COLUMNS + _FILES + _TELL


def complete(taken: Claim, *, files: Sequence[StoredFile], pages: int, report: dict[str, Any]) -> Ended | None:
    """Make the files visible and end the render; None when a newer attempt owns it (drop the result)."""
    values = {
        "id": taken.render_id,
        "attempt": taken.attempt,
        "pages": pages,
        "report": json.dumps(report),
        **{field.name: [getattr(file, field.name) for file in files] for field in dataclasses.fields(StoredFile)},
        **events.addresses(
            render_id=taken.render_id,
            visibility=taken.visibility,
            engine=taken.engine,
            main_format=taken.format,
            formats=taken.formats or [taken.format],
        ),
        **values_of_outbox(),
    }
    return _ended(_one(_COMPLETE, values))


def _ended(row: tuple[Any, ...] | None) -> Ended | None:
    return None if row is None else Ended((row[0] or "").split())


_DONE_BADLY: Final = """
WITH done AS (
    UPDATE renders_render
    SET status = 'failed', finished_at = statement_timestamp(), ring_at = NULL, lease_expires_at = NULL,
        error = %(error)s, error_code = %(code)s, report = %(report)s::jsonb
    WHERE id = %(id)s AND """
_BY_ITS_ATTEMPT: Final = "attempt = %(attempt)s AND status = 'running' RETURNING "
_BY_WHO_LOCKED_IT: Final = "status IN ('pending', 'running') RETURNING "
_REFUND: Final = """
), account AS (
    UPDATE credits_creditaccount AS credit SET credit_balance = credit.credit_balance + 1
    FROM done WHERE credit.team_id = done.team_id
    RETURNING credit.credit_balance
), refund AS (
    INSERT INTO credits_ledgerentry (team_id, kind, amount, balance_after, render_id, actor)
    SELECT done.team_id, 'refund', 1, account.credit_balance, done.id, %(reason)s::text FROM done, account
)"""
_TELL_NOBODY: Final = """
SELECT id FROM done
"""
_FAIL: Final = _DONE_BADLY + _BY_ITS_ATTEMPT + events.COLUMNS + _REFUND + ", " + _TELL
_CANCEL: Final = _DONE_BADLY + _BY_WHO_LOCKED_IT + events.COLUMNS + _REFUND + _TELL_NOBODY


def fail(
    render_id: str, *, attempt: int, error: str, code: str, report: dict[str, Any] | None = None
) -> Ended | None:
    """End the render as failed and give its credit back; None when a newer attempt owns it."""
    values = {
        "id": render_id,
        "attempt": attempt,
        "error": error[:500],
        "code": code,
        "report": json.dumps(report or {}),
        "reason": "render failed",
        **events.NO_ADDRESSES,
        **values_of_outbox(),
    }
    return _ended(_one(_FAIL, values))


def cancel(render_id: str, *, error: str) -> bool:
    """End an open render as failed and give its credit back, telling nobody; False when it is finished.

    For whoever has locked the row, so that no worker can claim or end it meanwhile. What its worker brings later
    changes nothing: no attempt owns the row any more.
    """
    values = {"id": render_id, "error": error[:500], "code": "deleted", "report": "{}", "reason": "render deleted"}
    return _one(_CANCEL, values) is not None


def _one(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
