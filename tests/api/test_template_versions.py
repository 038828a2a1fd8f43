"""Reading versions, and choosing the one that renders use."""

import pytest
import requests

from accounts.models import AuditEntry
from automette.lib.ids import new_id
from renders.models import Render
from templates_app.models import Template, TemplateVersion
from templates_app.services import add_version
from tests.api.uploading import upload
from tests.conftest import HELLO
from tests.docx.word_files import word_file


@pytest.fixture
def template_id(api) -> str:
    """A template of three versions, the third of which is published."""
    template_id = api.template()
    for number in (2, 3):
        add_version(template=Template.objects.get(pk=template_id), text=f'v{number} #data.at("a", default: "b")')
    return template_id


def path(template_id, rest="") -> str:
    return f"/api/v1/templates/{template_id}{rest}"


def publish(api, template_id, number) -> dict:
    answer = api.post(path(template_id, "/publish"), {"version": number})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_list_is_a_bare_array_newest_first(api, template_id):
    answer = api.get(path(template_id, "/versions"))
    assert answer.status_code == 200
    assert [(each["number"], each["published"]) for each in answer.json()] == [(3, True), (2, False), (1, False)]
    first = answer.json()[0]
    assert first == {
        "number": 3,
        "self": f"http://localhost:8000/api/v1/templates/{template_id}/versions/3",
        "published": True,
        "created_at": first["created_at"],
    }


def test_version_tells_its_source(api, template_id):
    answer = api.get(path(template_id, "/versions/2"))
    assert answer.status_code == 200
    assert answer.json() == {
        "number": 2,
        "self": f"http://localhost:8000/api/v1/templates/{template_id}/versions/2",
        "published": False,
        "created_at": answer.json()["created_at"],
        "template_id": template_id,
        "source": 'v2 #data.at("a", default: "b")',
        "files": [],
        "available_fields": [{"key": "a", "type": "text", "example": "b"}],
        "example_data": None,
    }
    assert api.get(path(template_id, "/versions/1")).json()["source"] == HELLO


def test_canvas_source_is_an_object_in_the_authors_order(api):
    document = {"height": 10, "width": 10, "layers": []}
    version = api.get(path(api.template(document, engine="canvas"), "/versions/1"))
    assert version.content.index(b'"height"') < version.content.index(b'"width"')
    assert version.json()["source"] == document


def test_example_data_is_told(api, template_id):
    TemplateVersion.objects.filter(template_id=template_id).update(example_data='{"b":1.50,"a":[]}')
    assert api.get(path(template_id, "/versions/1")).json()["example_data"] == {"b": 1.5, "a": []}


def test_word_file_can_be_fetched(server, api):
    template_id = upload(api, word_file("Dear {{ name }}")).json()["id"]
    version = api.get(path(template_id, "/versions/1")).json()
    assert version["source"] is None
    (file,) = version["files"]
    assert (file["name"], file["url"]) == ("template.docx", version["self"] + "?file=template.docx")
    answer = api.get(path(template_id, "/versions/1"), file="template.docx")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    content = requests.get(answer.headers["Location"], timeout=60)
    assert content.content.startswith(b"PK")
    assert content.headers["Content-Disposition"] == 'attachment; filename="template.docx"'
    assert api.get(path(template_id, "/versions/1"), file="other.docx").status_code == 404


@pytest.mark.parametrize("number", ["0", "4", "99999999999999999999", "-1", "x", "1/", "1.0"])
def test_version_that_there_is_not_is_404(api, template_id, number):
    answer = api.get(path(template_id, f"/versions/{number}"))
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})


def test_rolled_back_version_is_what_renders_use(api, template_id):
    answer = publish(api, template_id, 1)
    assert (answer["published_version"], answer["available_fields"][0]["key"]) == (1, "name")
    render = api.post("/api/v1/renders", {"template_id": template_id}).json()["id"]
    assert Render.objects.get(pk=render).template_version.number == 1
    assert publish(api, template_id, 3)["published_version"] == 3
    assert Render.objects.get(pk=render).template_version.number == 1
    actions = AuditEntry.objects.filter(subject=template_id, action="template.published").order_by("id")
    assert [entry.detail for entry in actions] == [{"version": 1}, {"version": 3}]


def test_without_a_body_the_newest_is_published(api, template_id):
    publish(api, template_id, 1)
    answer = api.send("POST", path(template_id, "/publish"), content_type="")
    assert (answer.status_code, answer.json()["published_version"]) == (200, 3)


def test_publishing_again_changes_nothing(api, template_id):
    before = api.get(path(template_id)).json()
    assert publish(api, template_id, 3) == before
    assert not AuditEntry.objects.filter(subject=template_id, action="template.published").exists()


@pytest.mark.parametrize("version", [0, 4, -1, 2**31, 10**30, "1", 1.0, True, [], None])
def test_version_that_cannot_be_published_is_422(api, template_id, version):
    before = api.get(path(template_id)).json()
    answer = api.post(path(template_id, "/publish"), {"version": version})
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "version")
    assert api.get(path(template_id)).json() == before


def test_source_of_an_old_version_makes_a_new_one(server, api, template_id):
    body = {"source": HELLO}
    answer = api._client.patch(
        path(template_id), body, content_type="application/json", headers=api._headers(None)
    ).json()
    assert answer["published_version"] == 4


def test_template_that_there_is_not_is_404(api):
    for answer in (
        api.get(path(new_id(), "/versions")),
        api.get(path(new_id(), "/versions/1")),
        api.post(path(new_id(), "/publish")),
    ):
        assert answer.status_code == 404
