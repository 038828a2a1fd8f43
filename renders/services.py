"""What a caller may ask for: make a render, wait for one, find its file."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.idempotency import AnsweredMeanwhileError, FirstAnswer, RequestKey, find_first, once
from accounts.models import Team
from automette.lib import store
from automette.lib.errors import DomainError, InvalidValueError, NotFoundError, TooEarlyError
from automette.lib.ids import new_id
from automette.lib.json_text import write_json
from automette.lib.rate_limits import waiting_call
from automette.lib.tasks import send, send_after_commit
from automette.lib.timestamps import iso
from automette.lib.wakeup import waiter
from credits.limits import limits_of
from credits.services import InsufficientCreditsError, current_account
from renders import statements
from renders.filenames import content_disposition, make_filename
from renders.models import Job, Render, RenderFile
from renders.statements import TemplateInUse
from renders.tasks import run_render
from templates_app.models import FORMATS, Engine

_POLL_SECONDS: Final = 2
_JOINED_POLL_SECONDS: Final = (0.05, 0.05, 0.1, 0.2, 0.4)  # nothing wakes who joins a wait; then at the last pace


class FilesExpiredError(DomainError):
    """The files were there and have been deleted because their time was over."""

    code = "not_found"


def create_render_once(
    *, key: RequestKey | None, team: Team, wait_seconds: float = 0, **wanted: Any
) -> tuple[Render, bool]:
    """Do as `create_render`, or return the render of the first request with this key; also whether it is a new one.

    A repeat that waits joins the render that runs; one that does not gets it as it was when accepted. Raises
    NotFoundError as well when that render has been deleted, and IdempotencyConflictError.
    """
    if key is None:
        return create_render(team=team, wait_seconds=wait_seconds, **wanted), True

    def create() -> tuple[Render, bool]:
        return create_render(team=team, wait_seconds=wait_seconds, key=key, **wanted), True

    def replay(first: FirstAnswer) -> tuple[Render, bool]:
        return _join(find_render(team=team, render_id=first.render_id or ""), wait_seconds), False

    return once(key, create, replay)


def create_render(
    *,
    team: Team,
    actor: str,
    template_id: str,
    data: dict[str, Any],
    visibility: str = Render.Visibility.PUBLIC,
    format: str | None = None,  # noqa: A002 (the API's word)
    formats: Any = None,
    options: dict[str, Any] | None = None,
    webhook_url: str | None = None,
    filename_pattern: str | None = None,
    expires_in: int | None = None,
    wait_seconds: float = 0,
    key: RequestKey | None = None,
) -> Render:
    """Charge one credit and start a render; each call makes another one.

    `formats`, where it goes before `format`, is for DOCX; the other engines ignore whatever it is.
    With `wait_seconds` the call waits that long for the end and returns the row as it is then; it does not wait when
    the broker is away, since the render may start late then. A render above the team's share of the workers is
    throttled (`renders.shares`). Raises NotFoundError, InvalidValueError, InsufficientCreditsError, RateLimitedError
    where the team waits with too many calls, and AnsweredMeanwhileError when `key` is taken; nothing is created then.
    """
    template = statements.find_template(team_id=team.id, template_id=template_id)
    if template is None:
        raise NotFoundError
    write_json(options or {}, field="options")  # refuses what the database cannot hold
    interactive = wait_seconds > 0 and waiter.waiting() < settings.SYNC_WAITERS
    render = _pending(
        team,
        template,
        formats=_choose_formats(template, format, formats),
        data=data,
        filename_pattern=filename_pattern,
        visibility=visibility,
        options=options or {},
        webhook_url=webhook_url,
        expires_in=expires_in,
    )
    if interactive:
        render.queue = "interactive"
    limits = limits_of(team.id)
    if not interactive:
        return _start(render, actor=actor, at_once=limits.running_renders, key=key)
    with waiting_call(team.id, at_once=limits.sync_waiters, seconds=wait_seconds):
        return _start_and_wait(render, actor=actor, seconds=wait_seconds, key=key)


def start_kept_render(
    *, team: Team, actor: str, source: str, template: TemplateInUse, data: dict[str, Any], render_id: str
) -> Render:
    """Charge one credit and start a background render in the caller's transaction; the message follows its commit.

    For what gives a render an address of its own: it is `secure`, in the engine's first format, and its files never
    expire, whatever the team's time is. Raises InvalidValueError and InsufficientCreditsError; the caller rolls back.
    """
    formats = [FORMATS[template.engine][0]]
    render = _pending(team, template, formats=formats, data=data, id=render_id, visibility=Render.Visibility.SECURE)
    at_once = limits_of(team.id).running_renders
    return _start(render, actor=actor, at_once=at_once, source=source, keep_files=True)


def _pending(
    team: Team,
    template: TemplateInUse,
    *,
    formats: list[str],
    data: dict[str, Any],
    filename_pattern: str | None = None,
    **chosen: Any,
) -> Render:
    """Return a row to be accepted, in the background queue of its engine."""
    filename = make_filename(
        pattern=filename_pattern or template.filename_pattern,
        template_name=template.name,
        data=data,
        extension=formats[0],
        now=dt.datetime.now(dt.UTC),
    )
    values = {
        "id": new_id(),
        "template_id": template.id,
        "template_version_id": template.version_id,
        "template_name": template.name,
        "engine": template.engine,
        "format": formats[0],
        "queue": "docx" if template.engine == Engine.DOCX else "async",
        **chosen,
    }
    return Render(
        team=team,
        job_id=new_id(),
        formats=formats,
        data=write_json(data, field="data"),
        filename=filename,
        status=Render.Status.PENDING,
        **values,
    )


def _start(render: Render, *, key: RequestKey | None = None, **how: Any) -> Render:
    _accept(render, key=key, **how)
    if not render.is_throttled:
        send_after_commit(run_render, queue=render.queue, kwargs={"render_id": render.id})
    return render


def _start_and_wait(render: Render, *, actor: str, seconds: float, key: RequestKey | None) -> Render:
    task_id, finished = waiter.expect(render.id)
    try:
        _accept(render, actor=actor, at_once=0, key=key)
        message: dict[str, Any] = {"queue": render.queue, "kwargs": {"render_id": render.id}}
        if send(run_render, **message, task_id=task_id, with_result=True):  # nobody waits inside a transaction
            return _wait(render, finished, seconds, repeat(_POLL_SECONDS))
        return render
    finally:
        waiter.forget(task_id)


def _accept(render: Render, *, key: RequestKey | None, source: str = Job.Source.API, **how: Any) -> None:
    while not statements.accept(render, source=source, key=key, **how):
        if key and find_first(key):
            raise AnsweredMeanwhileError
        account = current_account(team=render.team)  # begins the team's new month if nobody else has
        if account.available_credits < 1:
            raise InsufficientCreditsError(account=account, required=1)


def _choose_formats(template: TemplateInUse, wanted: str | None, several: Any) -> list[str]:
    """Return what is to be made, the main format first. Raises InvalidValueError."""
    formats = FORMATS[template.engine]
    if template.engine == Engine.DOCX and several is not None:
        known = isinstance(several, list) and all(isinstance(each, str) and each in formats for each in several)
        if not known or not several or len(set(several)) < len(several):
            raise InvalidValueError('formats: Must be ["pdf"], ["docx"] or both.')
        return list(several)
    if wanted is not None and wanted not in formats:
        raise InvalidValueError(f"format: {template.engine} templates can be rendered as {', '.join(formats)}.")
    return [wanted or formats[0]]


def _join(render: Render, seconds: float) -> Render:
    """Return the render as the first call did: as it was accepted, or after waiting for its end as well."""
    if not seconds:
        render.status, render.expires_at = Render.Status.PENDING, None  # only on this copy
        return render
    return wait_for_end(render, seconds=seconds, counted_as=render.team_id)


def wait_for_end(render: Render, *, seconds: float, counted_as: str) -> Render:
    """Wait for the end of a render that somebody else started; return the row as it is then.

    It comes back at once while no seat is free. As many as the team's `sync_waiters` wait at once under one name
    `counted_as`; one more raises RateLimitedError. No database connection is held while waiting.
    """
    if render.is_finished or waiter.waiting() >= settings.SYNC_WAITERS:
        return render
    with waiting_call(counted_as, at_once=limits_of(render.team_id).sync_waiters, seconds=seconds):
        waits, never = waiter.expect(new_id())  # the first call's process is woken; here the wait is only counted
        try:
            return _wait(render, never, seconds, chain(_JOINED_POLL_SECONDS, repeat(_JOINED_POLL_SECONDS[-1])))
        finally:
            waiter.forget(waits)


def _wait(render: Render, wake: threading.Event, seconds: float, looks: Iterator[float]) -> Render:
    """Return the row once it is finished or the time is over. No database connection is held while waiting.

    It is looked at when `wake` is set, and after each of the pauses `looks`, in seconds.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.close()  # back to the pool
        if wake.wait(min(left, next(looks))):
            wake.clear()  # an attempt that was given back wakes as well; the next one's end may not
        current = Render.objects.get(pk=render.pk)
        if current.is_finished:
            return current
    return render


def find_render(*, team: Team, render_id: str) -> Render:
    """Return a render of the team; raises NotFoundError."""
    render = team.renders.kept().filter(pk=render_id).first()
    if render is None:
        raise NotFoundError
    return render


def download_url(*, render: Render, format: str | None = None) -> str:  # noqa: A002 (the API's word)
    """Return where the finished file can be fetched without a key: for ever if public, for minutes if secure.

    Raises TooEarlyError while it is not finished, FilesExpiredError, NotFoundError when there is no such file.
    """
    if not render.is_finished:
        raise TooEarlyError("The render is not finished yet. Ask again in a moment.")
    if render.files_expired_at is not None:
        raise FilesExpiredError(f"The files of this render expired at {iso(render.files_expired_at)}.")
    file = render.files.filter(format=format or render.format).first()
    if file is None:
        raise NotFoundError
    if render.visibility == Render.Visibility.PUBLIC:
        return f"{settings.CDN_BASE_URL}/{file.key}"
    return store.presigned_url(
        file.key,
        media_type=file.media_type,
        disposition=disposition(render, file),
        seconds=seconds_readable(render, most=settings.PRESIGNED_URL_SECONDS),
    )


def find_public_file(*, render_id: str, extension: str) -> RenderFile | None:
    """Return the file behind a public address, or None when there is none that anybody may read."""
    file = (
        RenderFile.objects.select_related("render")
        .filter(render_id=render_id, format=extension, render__visibility=Render.Visibility.PUBLIC)
        .first()
    )
    return file if file is not None and file.render.has_files else None


def seconds_readable(render: Render, *, most: int) -> int:
    """Return for how long somebody may keep reading its files or a copy of them: `most`, but never past their end."""
    if render.expires_at is None:
        return most
    return max(1, min(most, int((render.expires_at - timezone.now()).total_seconds())))


def disposition(render: Render, file: RenderFile) -> str:
    """Return Content-Disposition: pictures and PDF are shown, SVG (which can carry scripts) is saved."""
    as_attachment = file.format not in {"pdf", "png", "jpg", "webp"}
    stem = render.filename.rpartition(".")[0] or render.filename
    return content_disposition(filename=f"{stem}.{file.format}", as_attachment=as_attachment)
