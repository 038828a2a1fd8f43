"""Writing templates. Every change of source makes a new version; versions never change."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Project, Team
from accounts.services import record_audit
from automette.lib import worker_calls
from automette.lib.errors import InvalidValueError, NotFoundError, TooLargeError
from templates_app import blobs
from templates_app.models import WORD_FILE, Engine, Template, TemplateVersion
from templates_app.sources import source_fields, source_text
from templates_app.tasks import inspect_docx
from templates_app.word_fields import merge_fields

_INSPECTION_SECONDS: Final = 30


class Upload(NamedTuple):
    """A template made from an uploaded file, and what was changed in the file, in sentences."""

    template: Template
    warnings: list[str]


class VersionContent(NamedTuple):
    """What makes a version: source or files, and the fields."""

    source: str = ""
    files: dict[str, str] = {}  # never changed
    fields: Sequence[dict[str, Any]] = ()


def create_template(
    *,
    team: Team,
    actor: str,
    name: str,
    engine: str,
    source: str | dict[str, Any],
    project_id: str | None = None,
    filename_pattern: str = "",
) -> Template:
    """Create a template with its first version; every call makes another one.

    Raises NotFoundError for another team's project, TooLargeError for a source that is too long, and what
    `source_text` raises.
    """
    text = source_text(engine, source)
    if len(text.encode()) > settings.MAX_SOURCE_BYTES:
        raise TooLargeError(f"source: longer than {settings.MAX_SOURCE_BYTES:,} bytes.")
    about = {"name": name, "engine": engine, "filename_pattern": filename_pattern}
    return _create(team, actor, project_id, about, _from_text(engine, text))


def upload_template(
    *,
    team: Team,
    actor: str,
    name: str,
    engine: str,
    content: bytes,
    fields: Sequence[dict[str, Any]] = (),
    project_id: str | None = None,
    filename_pattern: str = "",
) -> Upload:
    """Create a template from a Word file, which a worker cleans and reads; what is kept is the cleaned file.

    Raises InvalidValueError for another engine, and with the place in the document for what cannot be kept;
    NotFoundError for another team's project, TooLargeError, WorkerUnavailableError and store.StoreUnavailableError.
    """
    if engine != Engine.DOCX:
        raise InvalidValueError(f"engine: Only docx templates are files; send {engine} as JSON with its `source`.")
    if len(content) > settings.MAX_DOCX_BYTES:
        raise TooLargeError(f"file: larger than {settings.MAX_DOCX_BYTES:,} bytes. Make its pictures smaller.")
    _project(team, project_id)  # before a worker is asked
    merge_fields((), fields)
    upload = {"team_id": team.id, "sha256": blobs.put(team.id, content)}
    found = worker_calls.call(inspect_docx, queue="interactive", kwargs=upload, seconds=_INSPECTION_SECONDS)
    if "error" in found:
        if found["retry"]:
            raise worker_calls.WorkerUnavailableError
        raise InvalidValueError(f"file: {found['error']}")
    version = VersionContent(files={WORD_FILE: found["sha256"]}, fields=merge_fields(found["fields"], fields))
    about = {"name": name, "engine": engine, "filename_pattern": filename_pattern}
    return Upload(_create(team, actor, project_id, about, version), found["warnings"])


def create_trusted_docx_template(
    *, team: Team, actor: str, name: str, content: bytes, fields: Sequence[dict[str, Any]]
) -> Template:
    """Create a template from a Word file of our own, which is clean: no worker looks at it.

    Raises store.StoreUnavailableError.
    """
    version = VersionContent(files={WORD_FILE: blobs.put(team.id, content)}, fields=fields)
    return _create(team, actor, None, {"name": name, "engine": Engine.DOCX}, version)


def add_version(*, template: Template, text: str) -> TemplateVersion:
    """Give a template a new source, as `source_text` returns it; renders from now on use it."""
    return _add_version(template, _from_text(template.engine, text))


def add_trusted_docx_version(
    *, template: Template, content: bytes, fields: Sequence[dict[str, Any]]
) -> TemplateVersion:
    """Give a template a new Word file of our own, which is clean. Raises store.StoreUnavailableError."""
    return _add_version(
        template, VersionContent(files={WORD_FILE: blobs.put(template.team_id, content)}, fields=fields)
    )


def _from_text(engine: str, text: str) -> VersionContent:
    return VersionContent(source=text, fields=source_fields(engine, text))


def _create(
    team: Team, actor: str, project_id: str | None, about: dict[str, str], version: VersionContent
) -> Template:
    with transaction.atomic():
        template = Template.objects.create(team=team, project=_project(team, project_id), **about)
        _add_version(template, version)
        record_audit(team=team, action="template.created", actor=actor, subject=template.id)
    template.refresh_from_db()
    return template


def _add_version(template: Template, content: VersionContent) -> TemplateVersion:
    """The template's row is locked while its next number is taken, so that two writers make two versions."""
    with transaction.atomic():
        locked = Template.objects.select_for_update().get(pk=template.pk)
        last = locked.versions.order_by("-number").values_list("number", flat=True).first() or 0
        version = TemplateVersion.objects.create(
            template=locked,
            number=last + 1,
            source=content.source,
            files=content.files,
            fields=list(content.fields),
        )
        Template.objects.filter(pk=locked.pk).update(current_version=version, updated_at=Now())
    return version


def _project(team: Team, project_id: str | None) -> Project:
    chosen = {"pk": project_id} if project_id else {"is_default": True}
    project = team.projects.filter(**chosen).first()
    if project is None:
        raise NotFoundError
    return project
