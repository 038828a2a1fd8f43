"""Writing templates. Every change of source makes a new version; versions never change."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.http import content_disposition_header

from accounts.idempotency import creating
from accounts.models import Project, Team
from accounts.services import record_audit
from automette.lib import store
from automette.lib.errors import InvalidValueError, NotFoundError, TooLargeError
from templates_app import blobs
from templates_app.models import WORD_FILE, Engine, Template, TemplateVersion
from templates_app.sources import source_text
from templates_app.submissions import Submission, VersionContent, accept_submission, from_text, is_same

_WORD_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class Written(NamedTuple):
    """A template that was written, and what there is to say of its source, in sentences."""

    template: Template
    warnings: list[str]


def submit_template(
    *,
    team: Team,
    actor: str,
    name: str,
    engine: str,
    submission: Submission,
    project_id: str | None = None,
    slug: str = "",
    filename_pattern: str = "",
) -> Written:
    """Create a template from what a caller sends, once a worker could make a document of it; a repeat makes another.

    Raises NotFoundError for another team's project, InvalidValueError for a slug that is taken, and what
    `accept_submission` raises; nothing is created then.
    """
    _project(team, project_id)  # before a worker is asked
    _check_slug_free(team, slug)
    accepted = accept_submission(team=team, engine=engine, submission=submission)
    about = {"name": name, "engine": engine, "filename_pattern": filename_pattern, "slug": slug}
    with _one_template_per_slug():
        return Written(_create(team, actor, project_id, about, accepted.version), accepted.warnings)


def create_template(
    *,
    team: Team,
    actor: str,
    name: str,
    engine: str,
    source: str | dict[str, Any],
    project_id: str | None = None,
    slug: str = "",
    filename_pattern: str = "",
) -> Template:
    """Create a template from a source of our own, which compiles: no worker looks at it. Every call makes another.

    Raises NotFoundError for another team's project, TooLargeError for a source that is too long, and what
    `source_text` raises.
    """
    text = source_text(engine, source)
    if len(text.encode()) > settings.MAX_SOURCE_BYTES:
        raise TooLargeError(f"source: longer than {settings.MAX_SOURCE_BYTES:,} bytes.")
    about = {"name": name, "engine": engine, "filename_pattern": filename_pattern, "slug": slug}
    return _create(team, actor, project_id, about, from_text(engine, text))


def create_trusted_docx_template(
    *, team: Team, actor: str, name: str, content: bytes, fields: Sequence[dict[str, Any]]
) -> Template:
    """Create a template from a Word file of our own, which is clean: no worker looks at it.

    Raises store.StoreUnavailableError.
    """
    version = VersionContent(files={WORD_FILE: blobs.put(team.id, content)}, fields=fields)
    return _create(team, actor, None, {"name": name, "engine": Engine.DOCX}, version)


def update_template(
    *,
    team: Team,
    actor: str,
    template_id: str,
    changes: Mapping[str, str],
    submission: Submission | None = None,
    publish: bool = True,
) -> Written:
    """Change what is named in `changes` (name, slug, filename_pattern, project_id), and the source.

    A submission makes a new version, which renders use from now on if it is to be published. What the published or
    the newest version holds already makes none. Raises NotFoundError, and what `submit_template` raises; nothing has
    changed then.
    """
    template = find_template(team=team, template_id=template_id)
    about = _about(template, changes)
    accepted = None
    if submission is not None:
        accepted = accept_submission(
            team=team, engine=template.engine, submission=submission, current=template.current_version
        )
    with _one_template_per_slug(), transaction.atomic():
        locked = _lock(template)
        changed = {name: value for name, value in about.items() if getattr(locked, name) != value}
        if changed:
            Template.objects.filter(pk=locked.pk).update(**changed, updated_at=Now())
        version = _use(locked, accepted.version, publish=publish) if accepted else None
        if changed or version:
            detail = {"changed": sorted(changed), **({"version": version.number} if version else {})}
            record_audit(team=team, action="template.updated", actor=actor, subject=template.id, detail=detail)
    return Written(find_template(team=team, template_id=template_id), accepted.warnings if accepted else [])


def publish_version(*, team: Team, actor: str, template_id: str, number: int | None = None) -> Template:
    """Let renders use this version from now on, the newest if none is named; a repeat changes nothing.

    Raises NotFoundError, and InvalidValueError for a version that there is not.
    """
    template = find_template(team=team, template_id=template_id)
    with transaction.atomic():
        locked = _lock(template)
        wanted = locked.versions.order_by("-number") if number is None else locked.versions.filter(number=number)
        version = wanted.defer("source", "example_data").first()
        if version is None:
            raise InvalidValueError(f"version: This template has no version {number}.")
        if version.pk != locked.current_version_id:
            _publish(locked, version)
            detail = {"version": version.number}
            record_audit(team=team, action="template.published", actor=actor, subject=template.id, detail=detail)
    return find_template(team=team, template_id=template_id)


def delete_template(*, team: Team, actor: str, template_id: str) -> None:
    """Take a template out of use; its renders stay, and those under way are finished.

    Raises NotFoundError, also when it is gone already.
    """
    template = find_template(team=team, template_id=template_id)
    with transaction.atomic():
        locked = _lock(template)
        Template.objects.filter(pk=locked.pk).update(deleted_at=Now(), updated_at=Now())
        record_audit(
            team=team, action="template.deleted", actor=actor, subject=template.id, detail={"name": locked.name}
        )


def find_template(*, team: Team, template_id: str) -> Template:
    """Return a template of the team with its published version; raises NotFoundError, also for a deleted one."""
    template = team.templates.live().select_related("current_version", "url_base").filter(pk=template_id).first()
    if template is None:
        raise NotFoundError
    return template


def find_version(*, team: Team, template_id: str, number: int) -> TemplateVersion:
    """Return a version of a template of the team; raises NotFoundError."""
    template = find_template(team=team, template_id=template_id)
    version = template.versions.select_related("template").filter(number=number).first()
    if version is None:
        raise NotFoundError
    return version


def download_url(*, version: TemplateVersion, name: str) -> str:
    """Return where a file of a version can be fetched for minutes without a key; raises NotFoundError."""
    if name not in version.files:
        raise NotFoundError
    return store.presigned_url(
        blobs.key_of(version.template.team_id, version.files[name]),
        media_type=_WORD_TYPE if name == WORD_FILE else "application/octet-stream",
        disposition=str(content_disposition_header(as_attachment=True, filename=name.rpartition("/")[2])),
        seconds=settings.PRESIGNED_URL_SECONDS,
    )


def add_version(*, template: Template, text: str) -> TemplateVersion:
    """Give a template a new source, as `source_text` returns it; renders from now on use it."""
    return _add_version(template, from_text(template.engine, text))


def add_trusted_docx_version(
    *, template: Template, content: bytes, fields: Sequence[dict[str, Any]]
) -> TemplateVersion:
    """Give a template a new Word file of our own, which is clean. Raises store.StoreUnavailableError."""
    return _add_version(
        template, VersionContent(files={WORD_FILE: blobs.put(template.team_id, content)}, fields=fields)
    )


def _create(
    team: Team, actor: str, project_id: str | None, about: dict[str, str], version: VersionContent
) -> Template:
    with creating():
        template = Template.objects.create(team=team, project=_project(team, project_id), **about)
        _add_version(template, version)
        record_audit(team=team, action="template.created", actor=actor, subject=template.id)
    return find_template(team=team, template_id=template.id)


def _about(template: Template, changes: Mapping[str, str]) -> dict[str, str]:
    """Return the columns to change; raises NotFoundError for another team's project, InvalidValueError."""
    about = dict(changes)
    if about.pop("engine", template.engine) != template.engine:
        raise InvalidValueError("engine: A template keeps its engine. Create another template.")
    if "project_id" in about:
        about["project_id"] = _project(template.team, about["project_id"]).id
    _check_slug_free(template.team, about.get("slug", ""), but=template.id)
    return about


def _lock(template: Template) -> Template:
    """Let one writer at a time change a template; raises NotFoundError when it was deleted meanwhile."""
    locked = Template.objects.live().select_for_update(of=("self",)).filter(pk=template.pk).first()
    if locked is None:
        raise NotFoundError
    return locked


def _add_version(template: Template, content: VersionContent) -> TemplateVersion:
    """The template's row is locked while its next number is taken, so that two writers make two versions."""
    with transaction.atomic():
        locked = Template.objects.select_for_update().get(pk=template.pk)
        version = _number(locked, content)
        _publish(locked, version)
    return version


def _use(locked: Template, content: VersionContent, *, publish: bool) -> TemplateVersion | None:
    """Make a version of a template that is locked, or take the newest if it is this; None when nothing changes."""
    if locked.current_version is not None and is_same(locked.current_version, content):
        return None
    newest = locked.versions.order_by("-number").first()
    if newest is None or not is_same(newest, content):
        newest = _number(locked, content)
    elif not publish:
        return None
    if publish:
        _publish(locked, newest)
    else:
        Template.objects.filter(pk=locked.pk).update(updated_at=Now())
    return newest


def _number(locked: Template, content: VersionContent) -> TemplateVersion:
    last = locked.versions.order_by("-number").values_list("number", flat=True).first() or 0
    return TemplateVersion.objects.create(
        template=locked,
        number=last + 1,
        source=content.source,
        files=dict(content.files),
        fields=list(content.fields),
        example_data=content.example_data,
    )


def _publish(locked: Template, version: TemplateVersion) -> None:
    Template.objects.filter(pk=locked.pk).update(current_version=version, updated_at=Now())


def _project(team: Team, project_id: str | None) -> Project:
    chosen = {"pk": project_id} if project_id else {"is_default": True}
    project = team.projects.filter(**chosen).first()
    if project is None:
        raise NotFoundError
    return project


def _check_slug_free(team: Team, slug: str, but: str = "") -> None:
    if slug and team.templates.live().filter(slug=slug).exclude(pk=but).exists():
        raise _slug_taken()


@contextmanager
def _one_template_per_slug() -> Iterator[None]:
    """Tell of a slug that another writer took between the look and the write."""
    try:
        yield
    except IntegrityError as error:
        if "template_slug_once_per_team" in str(error):
            raise _slug_taken() from error
        raise


def _slug_taken() -> InvalidValueError:
    return InvalidValueError("slug: Another template of this team has it.")
