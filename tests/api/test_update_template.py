"""PATCH of a template: what is named changes, and a new source makes a new version."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import AuditEntry, Project
from templates_app import blobs
from templates_app.models import Template
from tests.api.uploading import DOCX_TYPE, send_form, upload
from tests.conftest import HELLO
from tests.docx.word_files import word_file

BYE = HELLO.replace("Hello", "Bye")


def patch(api, template_id, body):
    return api._client.patch(
        f"/api/v1/templates/{template_id}", body, content_type="application/json", headers=api._headers(None)
    )


def patched(api, template_id, **body) -> dict:
    answer = patch(api, template_id, body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def state(template_id) -> dict:
    row = Template.objects.filter(pk=template_id).values().get()
    return {**row, "versions": Template.objects.get(pk=template_id).versions.count()}


def test_new_source_makes_a_version_that_renders_use(server, api):
    template_id = api.template()
    answer = patched(api, template_id, source='Bye #data.at("who", default: "you")')
    assert (answer["published_version"], answer["warnings"]) == (2, [])
    assert answer["available_fields"] == [{"key": "who", "type": "text", "example": "you"}]
    assert answer["updated_at"] > answer["created_at"]
    del answer["warnings"]
    assert api.get(f"/api/v1/templates/{template_id}").json() == answer


def test_same_source_again_changes_nothing(server, api):
    template_id = api.template()
    before = state(template_id)
    assert patched(api, template_id, source=HELLO)["published_version"] == 1
    assert state(template_id) == before
    assert not AuditEntry.objects.filter(subject=template_id, action="template.updated").exists()


def test_same_canvas_document_in_any_form_changes_nothing(server, api):
    document = {"width": 10, "height": 10, "layers": []}
    template_id = api.template(document, engine="canvas")
    assert patched(api, template_id, source=document)["published_version"] == 1
    assert patched(api, template_id, source='{"width": 10,\n"height": 10, "layers": []}')["published_version"] == 1
    assert patched(api, template_id, source={**document, "width": 11})["published_version"] == 2


def test_without_a_source_there_is_no_version(api):
    template_id, project = api.template(), Project.objects.create(team=api.team, name="Letters")
    answer = patched(api, template_id, name="Letter", filename_pattern="{name}", slug="letter", project_id=project.id)
    assert (answer["name"], answer["slug"], answer["published_version"]) == ("Letter", "letter", 1)
    row = Template.objects.get(pk=template_id)
    assert (row.filename_pattern, row.project_id, row.versions.count()) == ("{name}", project.id, 1)
    assert patched(api, template_id, slug="", filename_pattern="")["slug"] is None
    entry = AuditEntry.objects.filter(subject=template_id, action="template.updated").first()
    assert entry.actor == str(api.team.api_keys.get())
    assert entry.detail["changed"] == ["filename_pattern", "name", "project_id", "slug"]


@pytest.mark.parametrize("body", [{}, {"unknown": 1}, {"engine": "typst"}, {"name": "Hello"}, {"slug": ""}])
def test_what_is_so_already_changes_nothing(api, body):
    template_id = api.template()
    before = state(template_id)
    assert patched(api, template_id, **body)["published_version"] == 1
    assert state(template_id) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"name": ""}, "name: "),
        ({"name": None}, "name: "),
        ({"name": "x" * 201}, "name: "),
        ({"engine": "canvas"}, "engine: A template keeps its engine. Create another template."),
        ({"engine": "docx", "source": "x"}, "engine: "),
        ({"source": ""}, "source: "),
        ({"source": {"width": 1}}, "source: Must be a string of Typst."),
        ({"source": "#fooo", "name": "New"}, "source: line 1, column 2: unknown variable: fooo"),
        ({"slug": "a b"}, "slug: "),
        ({"slug": "taken", "source": BYE}, "slug: Another template of this team has it."),
        ({"example_data": {"a": 1}}, "example_data: Belongs to a version: send the `source` as well."),
        ({"publish": "no", "source": BYE}, "publish: "),
    ],
)
def test_refused_change_changes_nothing(server, api, body, error):
    api.template(slug="taken")
    template_id = api.template()
    before = state(template_id)
    answer = patch(api, template_id, body)
    assert (answer.status_code, answer.json()["error"].startswith(error)) == (422, True), answer.content
    assert state(template_id) == before


def test_refused_source_comes_with_its_diagnostics(server, api):
    answer = patch(api, api.template(), {"source": "Hi\n#fooo"})
    assert answer.json()["diagnostics"] == [
        {"file": None, "line": 2, "column": 2, "message": "unknown variable: fooo", "hint": None}
    ]


def test_slug_can_be_kept_and_is_free_for_others_once_given_up(api):
    first, second = api.template(slug="a"), api.template()
    assert patched(api, first, slug="a", name="New")["slug"] == "a"
    assert patch(api, second, {"slug": "a"}).status_code == 422
    patched(api, first, slug="")
    assert patched(api, second, slug="a")["slug"] == "a"


def test_slug_that_two_want_at_once_is_had_by_one(api):
    ids = [api.template() for _ in range(4)]

    def take(template_id):
        try:
            return patch(api, template_id, {"slug": "wanted"}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(take, ids)) == [200, 422, 422, 422]


def test_example_data_stays_with_a_new_source_unless_there_is_other(server, api):
    template_id = api.template()
    patched(api, template_id, source="#data.a.b", example_data={"a": {"b": "x"}})
    assert patched(api, template_id, source="#data.a.b .")["warnings"] == []
    version = Template.objects.get(pk=template_id).current_version
    assert (version.number, version.example_data) == (3, '{"a":{"b":"x"}}')
    assert (
        "not compiled to its end" in patched(api, template_id, source="#data.a.b .", example_data={})["warnings"][0]
    )
    assert Template.objects.get(pk=template_id).current_version.example_data == ""


def test_source_may_use_the_templates_own_assets(server, api):
    template_id = api.template()
    assert patch(api, template_id, {"source": '#read("a.txt")'}).status_code == 422
    answer = send_form(api, "/api/v1/assets", template_id=template_id, file=("a.txt", b"x", "text/plain"))
    assert answer.status_code == 201
    assert patched(api, template_id, source='#read("a.txt")')["published_version"] == 2


def test_draft_is_kept_and_not_used(server, api):
    template_id = api.template()
    assert patched(api, template_id, source=BYE, publish=False)["published_version"] == 1
    assert patched(api, template_id, source=BYE, publish=False)["published_version"] == 1
    assert state(template_id)["versions"] == 2
    assert patched(api, template_id, source=BYE)["published_version"] == 2
    assert state(template_id)["versions"] == 2


def test_word_file_is_replaced_by_a_form(server, api):
    template_id = upload(api, word_file("Dear {{ name }}")).json()["id"]
    path = f"/api/v1/templates/{template_id}"
    new = ("b.docx", word_file("Bye {{ who }}"), DOCX_TYPE)
    answer = send_form(api, path, "PATCH", file=new, name="Bye")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["name"], body["published_version"], body["fields"][0]["key"]) == ("Bye", 2, "who")
    assert send_form(api, path, "PATCH", file=new).json()["published_version"] == 2
    authored = '[{"key": "who", "label": "To whom"}]'
    assert send_form(api, path, "PATCH", file=new, fields=authored).json()["published_version"] == 3
    assert send_form(api, path, "PATCH", name="Again").json()["published_version"] == 3
    answer = send_form(api, path, "PATCH", fields=authored)
    assert answer.json() == {"error": "fields: Belongs to a version: send the `file` as well."}
    assert patch(api, template_id, {"source": "x"}).json()["error"].startswith("source: A docx template is a Word")
    answer = send_form(api, path, "PATCH", file=("c.docx", b"no", DOCX_TYPE))
    assert (answer.status_code, state(template_id)["versions"]) == (422, 3)


def test_writers_at_once_make_versions_without_a_gap(server, api):
    template_id = api.template()
    # The embedded store fails where it is to make the team's folder several times at once.
    blobs.put(api.team.id, b"the first")

    def write(number):
        try:
            return patch(api, template_id, {"source": f"v{number}"}).json()["published_version"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(12)))
    numbers = sorted(Template.objects.get(pk=template_id).versions.values_list("number", flat=True))
    assert numbers == list(range(1, 14))


def test_render_under_way_keeps_its_version(server, api, accept):
    template_id = api.template()
    before = accept(api, template_id)
    patched(api, template_id, source=BYE, name="Bye")
    before.refresh_from_db()
    assert (before.template_version.number, before.template_name) == (1, "Hello")
    assert accept(api, template_id).template_version.number == 2
