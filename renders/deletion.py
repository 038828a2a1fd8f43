"""Deleting a render for good: its files, and everything that its caller sent."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Final

import structlog
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Team
from accounts.services import record_audit
from automette.lib import store
from automette.lib.errors import NotFoundError
from renders import retention, statements
from renders.models import UPLOADS_END_AFTER, ObjectDeletion, Render, RenderFile
from webhooks.retention import delete_events_of_render

log = structlog.get_logger(__name__)

_ERROR: Final = "The render was deleted."


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """What a deletion did."""

    id: str
    status: str
    """The render's status when it was deleted."""
    deleted_at: dt.datetime
    files: list[RenderFile]
    files_deleted: bool
    """False when the store was away: then nobody is led to the files any more, and a worker deletes them later."""
    deleted: bool = True


def delete_render(*, team: Team, actor: str, render_id: str) -> Receipt:
    """Delete a render's files and data; only a tombstone stays, which no caller sees.

    One that is not finished is ended first and its credit given back, and nobody is told of that end; what its worker
    still brings is dropped, and what it still stores is deleted. What webhooks had told of it, and whom, is deleted
    too; a call that is under way is not taken back. Raises NotFoundError, also for a repeat.
    """
    with transaction.atomic():
        render = team.renders.kept().select_for_update().filter(pk=render_id).first()
        if render is None:
            raise NotFoundError
        if not render.is_finished:
            statements.cancel(render.id, error=_ERROR)
        files = list(render.files.order_by("format"))
        deletions = _delete_later(render, {file.key for file in files})
        RenderFile.objects.filter(render=render).delete()
        deleted_at = _erase(render)
        delete_events_of_render(render.id)
        detail = {"status": render.status, "formats": render.all_formats}
        record_audit(team=team, action="render.deleted", actor=actor, subject=render.id, detail=detail)
    return Receipt(render.id, render.status, deleted_at, files, files_deleted=_delete_now(deletions))


def _delete_later(render: Render, visible: set[str]) -> list[ObjectDeletion]:
    """Note every object that there may be, or come: an attempt may be storing one at this moment."""
    last_attempt_ends = render.lease_expires_at or render.finished_at or Now()
    return ObjectDeletion.objects.bulk_create(
        ObjectDeletion(key=key, uploads_end_at=last_attempt_ends + UPLOADS_END_AFTER)
        for key in sorted(render.possible_keys | visible)
    )


def _erase(render: Render) -> dt.datetime:
    erased = Render.objects.filter(pk=render.pk)
    erased.update(deleted_at=Now(), data="{}", options={}, filename="", webhook_url=None, report={})
    erased.filter(status=Render.Status.FAILED).update(error=_ERROR)  # an engine's message may quote the data
    render.refresh_from_db(fields=["deleted_at"])
    return render.deleted_at  # type: ignore[return-value]  # set two lines above


def _delete_now(deletions: Iterable[ObjectDeletion]) -> bool:
    try:
        retention.delete_objects(list(deletions))
    except store.StoreUnavailableError as error:
        log.warning("objects_not_deleted", error=str(error))
        return False
    return True
