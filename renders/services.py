"""What a caller may ask for: make a render, wait for one, find its file."""

import datetime as dt
import time
from typing import Any, Final

from django.conf import settings
from django.db import connection

from accounts.models import Team
from automette.lib import store
from automette.lib.errors import InvalidValueError, NotFoundError, TooEarlyError
from automette.lib.ids import new_id
from automette.lib.json_text import write_json
from automette.lib.tasks import send, send_after_commit
from automette.lib.wakeup import waiter
from credits.models import CreditAccount
from credits.services import InsufficientCreditsError
from renders import statements
from renders.filenames import content_disposition, make_filename
from renders.models import Job, Render, RenderFile
from renders.statements import TemplateInUse
from renders.tasks import run_render
from templates_app.models import FORMATS, Engine

_POLL_SECONDS: Final = 2


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
    wait_seconds: float = 0,
) -> Render:
    """Charge one credit and start a render; each call makes another one.

    `formats`, where it goes before `format`, is for DOCX; the other engines ignore whatever it is.
    With `wait_seconds` the call waits that long for the end and returns the row as it is then; it does not wait when
    the broker is away, since the render may start late then. Raises NotFoundError,
    InvalidValueError, InsufficientCreditsError; nothing is created then.
    """
    template = statements.find_template(team_id=team.id, template_id=template_id)
    if template is None:
        raise NotFoundError
    write_json(options or {}, field="options")  # refuses what the database cannot hold
    interactive = wait_seconds > 0 and waiter.waiting() < settings.SYNC_WAITERS
    chosen_formats = _choose_formats(template, format, formats)
    render = Render(
        id=new_id(),
        team=team,
        job_id=new_id(),
        template_id=template.id,
        template_version_id=template.version_id,
        template_name=template.name,
        engine=template.engine,
        format=chosen_formats[0],
        formats=chosen_formats,
        visibility=visibility,
        data=write_json(data, field="data"),
        options=options or {},
        filename=make_filename(
            pattern=filename_pattern or template.filename_pattern,
            template_name=template.name,
            data=data,
            extension=chosen_formats[0],
            now=dt.datetime.now(dt.UTC),
        ),
        webhook_url=webhook_url,
        queue="interactive" if interactive else "docx" if template.engine == Engine.DOCX else "async",
        status=Render.Status.PENDING,
    )
    task_id, finished = waiter.expect(render.id) if interactive else (None, None)
    try:
        if not statements.accept(render, source=Job.Source.API, actor=actor):
            raise InsufficientCreditsError(account=CreditAccount.objects.get(team=team), required=1)
        message: dict[str, Any] = {"queue": render.queue, "kwargs": {"render_id": render.id}}
        if finished is None:
            send_after_commit(run_render, **message)
        elif send(run_render, **message, task_id=task_id, with_result=True):  # nobody waits inside a transaction
            return _wait(render, finished.wait, wait_seconds)
        return render
    finally:
        if task_id:
            waiter.forget(task_id)


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


def _wait(render: Render, wait: Any, seconds: float) -> Render:
    """Return the row once it is finished or the time is over. No database connection is held while waiting."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.close()  # back to the pool
        wait(min(left, _POLL_SECONDS))
        current = Render.objects.get(pk=render.pk)
        if current.is_finished:
            return current
    return render


def find_render(*, team: Team, render_id: str) -> Render:
    """Return a render of the team; raises NotFoundError."""
    render = team.renders.filter(pk=render_id).first()
    if render is None:
        raise NotFoundError
    return render


def download_url(*, render: Render, format: str | None = None) -> str:  # noqa: A002 (the API's word)
    """Return where the finished file can be fetched without a key: for ever if public, for minutes if secure.

    Raises TooEarlyError while it is not finished, NotFoundError when there is no such file.
    """
    if not render.is_finished:
        raise TooEarlyError("The render is not finished yet. Ask again in a moment.")
    file = render.files.filter(format=format or render.format).first()
    if file is None:
        raise NotFoundError
    if render.visibility == Render.Visibility.PUBLIC:
        return f"{settings.CDN_BASE_URL}/{file.key}"
    return store.presigned_url(
        file.key,
        media_type=file.media_type,
        disposition=disposition(render, file),
        seconds=settings.PRESIGNED_URL_SECONDS,
    )


def find_public_file(*, render_id: str, extension: str) -> RenderFile | None:
    """Return the file behind a public address, or None when there is none that anybody may read."""
    return (
        RenderFile.objects.select_related("render")
        .filter(render_id=render_id, format=extension, render__visibility=Render.Visibility.PUBLIC)
        .first()
    )


def disposition(render: Render, file: RenderFile) -> str:
    """Return Content-Disposition: pictures and PDF are shown, SVG (which can carry scripts) is saved."""
    as_attachment = file.format not in {"pdf", "png", "jpg", "webp"}
    stem = render.filename.rpartition(".")[0] or render.filename
    return content_disposition(filename=f"{stem}.{file.format}", as_attachment=as_attachment)
