"""What a worker does with a render: claim, render in an isolated child, store, finish."""

import hashlib
import time
from typing import Final, NamedTuple

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from automette.lib import counters, store
from credits.limits import limits_of
from renders import inputs, remote_images, shares, statements
from renders.leases import keeper
from renders.models import MAX_ATTEMPTS, UPLOADS_END_AFTER, Render, object_key
from renders.shares import Released, Share
from renders.statements import Claim, StoredFile
from templates_app import engines
from workers.errors import RenderError
from workers.job import RenderedDocument, RenderedFile

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 1.0
_STORE_CLOCK_SECONDS: Final = 1.0  # signatures count in whole seconds of the store's clock
_CLEAN_BATCH: Final = 500


class ToRing(NamedTuple):
    """What is to be rung for after a worker is done with a render.

    A throttled render of its team that comes in its place, if any, and the deliveries that tell of its end.
    """

    renders: list[Released]
    delivery_ids: list[str]


def execute_render(render_id: str) -> ToRing:
    """Bring a pending render to its end. A repeat call finds nothing to claim and does nothing.

    A fault of the template or a limit ends the render as failed and gives the credit back; a fault of ours gives
    the render back for another attempt. The caller rings for what is returned; if it cannot, the sweeper does.
    """
    asked = time.monotonic()
    taken = statements.claim(render_id, lease_seconds=settings.LEASE_SECONDS)
    if taken is None:
        return ToRing([], [])
    with keeper.holding(taken, since=asked):
        try:
            with counters.attempt(taken.engine):
                document = _render(taken)
                files = [_store(taken, file) for file in document.files]
        except RenderError as error:
            delivery_ids = _end_badly(taken, message=error.message, code=error.code, retry=error.retry)
        except store.StoreUnavailableError as error:
            log.warning("store_unavailable", render_id=render_id, error=str(error))
            message = "The file store was not reachable."
            delivery_ids = _end_badly(taken, message=message, code="internal", retry=True)
        else:
            delivery_ids = _finish(taken, document, files)
    return ToRing(_release_next(taken), delivery_ids)


def _release_next(taken: Claim) -> list[Released]:
    places = limits_of(taken.team_id).running_renders
    if taken.queue == "interactive" or not places:
        return []
    return shares.release(Share(taken.team_id, taken.queue, places), most=1)


def _render(taken: Claim) -> RenderedDocument:
    connection.close()  # nothing of the database is held while files are fetched and an engine works
    with engines.seat(taken.engine, waited_for=taken.queue == "interactive"):
        return remote_images.render(engines.pool(taken.engine), taken.team_id, inputs.make_job(taken))


def _store(taken: Claim, file: RenderedFile) -> StoredFile:
    key = object_key(
        render_id=taken.render_id,
        visibility=taken.visibility,
        extension=file.extension,
        attempt=taken.attempt,
    )
    # The permission to upload ends before the lease: once another worker may claim, the store refuses this one.
    store.put(key, file.content, file.media_type, until=keeper.owned_until(taken) - _STORE_CLOCK_SECONDS)
    return StoredFile(
        format=file.extension,
        key=key,
        media_type=file.media_type,
        size_bytes=len(file.content),
        sha256=hashlib.sha256(file.content).hexdigest(),
    )


def _finish(taken: Claim, document: RenderedDocument, files: list[StoredFile]) -> list[str]:
    report = {
        "warnings": list(document.warnings),
        "fonts_asked": list(document.fonts_asked),
        "fonts_used": list(document.fonts_used),
        "pdf_standards": list(document.standards),
    }
    ended = statements.complete(taken, files=files, pages=document.pages, report=report)
    if ended is None:
        log.warning("result_superseded", render_id=taken.render_id, attempt=taken.attempt)
        return []
    return ended.delivery_ids


def _end_badly(taken: Claim, *, message: str, code: str, retry: bool) -> list[str]:
    if retry and taken.attempt < MAX_ATTEMPTS:
        statements.give_back(taken, pause_seconds=_PAUSE_SECONDS * taken.attempt)
        log.warning("render_given_back", render_id=taken.render_id, attempt=taken.attempt, code=code)
        return []
    ended = statements.fail(taken.render_id, attempt=taken.attempt, error=message, code=code)
    log.info("render_failed", render_id=taken.render_id, code=code)
    return ended.delivery_ids if ended else []


def delete_superseded_files() -> None:
    """Remove the secure files of attempts that were overtaken, and public files of renders that failed in the end.

    Ten minutes after the end no upload can still be under way. Safe to repeat.
    """
    finished = Render.objects.filter(
        attempt__gt=1, superseded_files_deleted=False, finished_at__lt=timezone.now() - UPLOADS_END_AFTER
    ).order_by("finished_at")[:_CLEAN_BATCH]
    for render in finished:
        visible = set(render.files.values_list("key", flat=True))
        store.delete(render.possible_keys - visible)
        Render.objects.filter(pk=render.pk).update(superseded_files_deleted=True)
