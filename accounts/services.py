"""Making teams and keys."""

import datetime as dt
from typing import Any, Final

import structlog
from django.db import transaction
from django.utils import timezone

from accounts import keys
from accounts.models import MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS, ApiKey, AuditEntry, Project, Team
from automette.lib.errors import InvalidValueError

MAX_NAME: Final = 200


def create_team(*, name: str, actor: str) -> Team:
    """Create a team with its default project; `credits.services.open_account` gives it credits.

    Raises InvalidValueError for a name that is empty or longer than 200 characters.
    """
    if not 1 <= len(name.strip()) <= MAX_NAME:
        raise InvalidValueError(f"A team's name has 1 to {MAX_NAME} characters.")
    with transaction.atomic():
        team = Team.objects.create(name=name)
        Project.objects.create(team=team, name="Default", is_default=True)
        record_audit(team=team, action="team.created", actor=actor, subject=team.id)
    return team


def change_retention(*, team: Team, seconds: int | None, actor: str) -> None:
    """Say after how many seconds the files of the team's new renders expire; None is never.

    Renders that were accepted before keep what was the rule then. Raises InvalidValueError.
    """
    if seconds is not None and not MIN_EXPIRY_SECONDS <= seconds <= MAX_EXPIRY_SECONDS:
        raise InvalidValueError(f"Files can expire after {MIN_EXPIRY_SECONDS:,} to {MAX_EXPIRY_SECONDS:,} seconds.")
    with transaction.atomic():
        team.files_expire_after_seconds = seconds
        team.save(update_fields=["files_expire_after_seconds"])
        detail = {"files_expire_after_seconds": seconds}
        record_audit(team=team, action="team.retention_changed", actor=actor, subject=team.id, detail=detail)


def create_api_key(
    *, team: Team, actor: str, name: str = "", expires_at: dt.datetime | None = None
) -> tuple[ApiKey, str]:
    """Return the row and the key itself, which is shown this once and cannot be read again."""
    key = keys.new_key()
    with transaction.atomic():
        row = ApiKey.objects.create(
            team=team, name=name, digest=keys.digest(key), hint=f"{key[:7]}…{key[-4:]}", expires_at=expires_at
        )
        record_audit(team=team, action="api_key.created", actor=actor, subject=row.id, detail={"hint": row.hint})
    return row, key


def revoke_api_key(*, api_key: ApiKey, actor: str) -> None:
    """End a key at once; a second call changes nothing."""
    with transaction.atomic():
        if ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record_audit(team=api_key.team, action="api_key.revoked", actor=actor, subject=api_key.id)


def record_audit(
    *, team: Team | None, action: str, actor: str, subject: str = "", detail: dict[str, Any] | None = None
) -> None:
    """Add an audit row to the present transaction."""
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    AuditEntry.objects.create(
        team=team, action=action, actor=actor, subject=subject, request_id=request_id, detail=detail or {}
    )


def find_team(id_or_name: str) -> Team:
    """Return the team with this id, or the only one with this name; raises InvalidValueError."""
    found = list(Team.objects.filter(pk=id_or_name)) or list(Team.objects.filter(name=id_or_name)[:2])
    if len(found) != 1:
        problem = "More than one team has this name: use the id" if found else "There is no such team"
        raise InvalidValueError(f"{problem}: {id_or_name}")
    return found[0]
