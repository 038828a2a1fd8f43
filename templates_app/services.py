"""Writing templates. Every change of source makes a new version; versions never change."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Project, Team
from accounts.services import record_audit
from automette.lib.errors import NotFoundError, TooLargeError
from templates_app.models import Template, TemplateVersion
from templates_app.sources import source_fields, source_text


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
    with transaction.atomic():
        template = Template.objects.create(
            team=team,
            project=_project(team, project_id),
            name=name,
            engine=engine,
            filename_pattern=filename_pattern,
        )
        add_version(template=template, text=text)
        record_audit(team=team, action="template.created", actor=actor, subject=template.id)
    template.refresh_from_db()
    return template


def add_version(*, template: Template, text: str) -> TemplateVersion:
    """Give a template a new source, as `source_text` returns it; renders from now on use it.

    The template's row is locked while its next number is taken, so that two writers make two versions.
    """
    with transaction.atomic():
        locked = Template.objects.select_for_update().get(pk=template.pk)
        last = locked.versions.order_by("-number").values_list("number", flat=True).first() or 0
        version = TemplateVersion.objects.create(
            template=locked,
            number=last + 1,
            source=text,
            fields=source_fields(locked.engine, text),
        )
        Template.objects.filter(pk=locked.pk).update(current_version=version, updated_at=Now())
    return version


def _project(team: Team, project_id: str | None) -> Project:
    chosen = {"pk": project_id} if project_id else {"is_default": True}
    project = team.projects.filter(**chosen).first()
    if project is None:
        raise NotFoundError
    return project
