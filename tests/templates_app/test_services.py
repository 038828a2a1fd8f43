from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from accounts.models import Project
from automette.lib.errors import InvalidValueError, NotFoundError, TooLargeError
from templates_app.models import Template, TemplateVersion
from templates_app.services import add_version, create_template


def make(api, **more) -> Template:
    return create_template(
        team=api.team, actor="test", **{"name": "A", "engine": "typst", "source": "#data.a", **more}
    )


def test_new_version_becomes_the_current_one_and_the_old_one_stays(api):
    template = make(api)
    old = template.current_version
    new = add_version(template=template, text="#data.b #data.c")
    template.refresh_from_db()
    assert (template.current_version, new.number, old.number) == (new, 2, 1)
    assert [field["key"] for field in new.fields] == ["b", "c"]
    old.refresh_from_db()
    assert (old.source, old.fields) == ("#data.a", [{"key": "a", "example": ""}])
    assert template.updated_at > template.created_at


def test_render_keeps_the_version_it_was_made_with(api, accept):
    template = make(api)
    before = accept(api, template.id)
    new = add_version(template=template, text="new")
    assert before.template_version.number == 1
    assert accept(api, template.id).template_version == new


def test_versions_written_at_once_are_numbered_without_gap(api):
    template = make(api)

    def write(number):
        try:
            return add_version(template=template, text=f"v{number}").number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        numbers = sorted(threads.map(write, range(24)))
    assert numbers == list(range(2, 26))
    template.refresh_from_db()
    assert template.current_version.number == 25


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"engine": "docx"}, InvalidValueError),
        ({"source": "x" * (settings.MAX_SOURCE_BYTES + 1)}, TooLargeError),
        ({"project_id": "c" * 25}, NotFoundError),
    ],
)
def test_refused_template_leaves_nothing_behind(api, nothing_changes, more, error):
    with nothing_changes(api), pytest.raises(error):
        make(api, **more)


def test_another_teams_project_is_not_found(api, other_api, nothing_changes):
    theirs = Project.objects.get(team=other_api.team)
    with nothing_changes(api, other_api), pytest.raises(NotFoundError):
        make(api, project_id=theirs.id)


def test_database_refuses_what_makes_no_sense(api):
    template = make(api)
    for change, constraint in [
        ({"engine": "latex"}, "template_engine_known"),
        ({"name": ""}, "template_has_name"),
    ]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            Template.objects.filter(pk=template.pk).update(**change)
    for number, constraint in [(1, "version_number_once_per_template"), (0, "version_counts_from_one")]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            TemplateVersion.objects.create(template=template, number=number, source="x")
