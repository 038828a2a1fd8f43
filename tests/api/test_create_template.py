import pytest
from django.conf import settings

from accounts.models import AuditEntry, Project
from templates_app.models import Template

pytestmark = pytest.mark.usefixtures("server")  # a worker tries sources out
SOURCE = """= Invoice for #data.at("name", default: "Alice")
// #data.not_this
Due: #sys.inputs.at("due_date", default: "tomorrow"), #data.total
"""


def body(**more):
    return {"name": "Invoice", "engine": "typst", "source": SOURCE, **more}


def test_answer_is_the_template_with_its_fields(api):
    answer = api.post("/api/v1/templates", body())
    created = answer.json()
    assert answer.status_code == 201
    assert created == {
        "id": created["id"],
        "name": "Invoice",
        "slug": None,
        "engine": "typst",
        "self": f"http://localhost:8000/api/v1/templates/{created['id']}",
        "available_fields": [
            {"key": "name", "type": "text", "example": "Alice"},
            {"key": "due_date", "type": "text", "example": "tomorrow"},
            {"key": "total", "type": "text", "example": ""},
        ],
        "fields": [
            {"key": "name", "type": "text", "label": "Name", "required": False},
            {"key": "due_date", "type": "text", "label": "Due date", "required": False},
            {"key": "total", "type": "text", "label": "Total", "required": False},
        ],
        "allowed_formats": ["pdf", "png", "svg"],
        "url_base": None,
        "published_version": 1,
        "created_at": created["created_at"],
        "updated_at": created["updated_at"],
        "warnings": [],
    }


def test_get_answers_the_same(api):
    created = api.post("/api/v1/templates", body()).json()
    got = api.get(f"/api/v1/templates/{created['id']}")
    assert (got.status_code, {**got.json(), "warnings": []}) == (200, created)


def create(api, **more) -> str:
    answer = api.post("/api/v1/templates", {"name": "Hello", "engine": "typst", "source": "Hi", **more})
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def test_source_is_kept_to_the_byte_as_version_one(api):
    source = "\ufeff\r\n = Ünicode\t\n\n"
    template = Template.objects.get(pk=create(api, source=source))
    assert (template.current_version.number, template.current_version.source) == (1, source)
    assert [version.number for version in template.versions.all()] == [1]


def test_every_call_makes_another_template(api):
    assert len({create(api), create(api), create(api)}) == 3
    assert [template["name"] for template in api.get("/api/v1/templates").json()] == ["Hello"] * 3


def test_template_lies_in_the_teams_default_project(api):
    assert Template.objects.get(pk=create(api)).project == Project.objects.get(team=api.team, is_default=True)


def test_project_can_be_chosen(api):
    project = Project.objects.create(team=api.team, name="Letters")
    assert Template.objects.get(pk=create(api, project_id=project.id)).project == project


def test_name_is_trimmed(api):
    assert api.post("/api/v1/templates", body(name="  Invoice \n")).json()["name"] == "Invoice"


def test_creation_is_audited_with_the_key_that_did_it(api):
    row = AuditEntry.objects.get(subject=create(api))
    key = api.team.api_keys.get()
    assert (row.action, row.actor, row.team_id) == ("template.created", str(key), api.team.id)


@pytest.mark.parametrize("field", ["name", "engine", "source"])
def test_missing_field_is_400(api, nothing_changes, field):
    sent = body()
    del sent[field]
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", sent)
    assert (answer.status_code, answer.json()) == (400, {"error": f"{field}: This field is required."})


@pytest.mark.parametrize("engine", ["latex", "TYPST", "typst ", ""])
def test_unknown_engine_is_422(api, nothing_changes, engine):
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body(engine=engine))
    assert (answer.status_code, answer.json()) == (422, {"error": "engine: Must be one of: typst, canvas, docx."})


def test_source_of_exactly_the_limit_is_taken(api):
    source = "//" + "x" * (settings.MAX_SOURCE_BYTES - 2)
    assert api.post("/api/v1/templates", body(source=source)).status_code == 201


def test_slug_is_kept_and_can_be_had_once_in_a_team(api, other_api, nothing_changes):
    assert api.post("/api/v1/templates", body(slug="invoice-2026")).json()["slug"] == "invoice-2026"
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body(slug="invoice-2026"))
    assert (answer.status_code, answer.json()) == (422, {"error": "slug: Another template of this team has it."})
    assert other_api.post("/api/v1/templates", body(slug="invoice-2026")).status_code == 201
    assert [api.post("/api/v1/templates", body(slug="")).json()["slug"] for _ in range(2)] == [None, None]


@pytest.mark.parametrize("slug", ["-a", "a b", "ä", "a/b", "x" * 101, 1, None])
def test_slug_of_another_shape_is_422(api, nothing_changes, slug):
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body(slug=slug))
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "slug")
