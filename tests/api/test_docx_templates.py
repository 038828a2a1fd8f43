"""Word templates: uploaded as multipart/form-data, cleaned and read by a worker."""

import io
import json
import time
import zipfile

import pytest
import requests
from django.conf import settings
from docx import Document

from accounts.models import AuditEntry, Project
from templates_app import blobs
from templates_app.models import Template
from tests.api.uploading import DOCX_TYPE, upload
from tests.conftest import free_port
from tests.docx.word_files import with_part, with_relationship, word_file

LETTER = word_file(
    'Dear {{ name|default("Alice") }}, due {{ due_date|date }}', "{% for x in items %}{{ x }}{% endfor %}"
)


def bytes_of(template: Template) -> bytes:
    return blobs.local_copy(template.team_id, template.current_version.files["template.docx"]).read_bytes()


def test_answer_is_the_template_with_its_fields_and_no_warning(server, api):
    answer = upload(api, LETTER, name=" Letter\n")
    created = answer.json()
    assert answer.status_code == 201, created
    assert created == {
        "id": created["id"],
        "name": "Letter",
        "slug": None,
        "engine": "docx",
        "self": f"http://localhost:8000/api/v1/templates/{created['id']}",
        "available_fields": [
            {"key": "name", "label": "Name", "type": "text", "required": False, "example": "Alice"},
            {"key": "due_date", "label": "Due date", "type": "date", "required": False, "example": ""},
            {"key": "items", "label": "Items", "type": "array", "required": False, "example": ""},
        ],
        "fields": [
            {"key": "name", "type": "text", "label": "Name", "required": False},
            {"key": "due_date", "type": "date", "label": "Due date", "required": False},
            {"key": "items", "type": "array", "label": "Items", "required": False},
        ],
        "allowed_formats": ["pdf", "docx"],
        "url_base": None,
        "published_version": 1,
        "created_at": created["created_at"],
        "updated_at": created["updated_at"],
        "warnings": [],
    }
    del created["warnings"]
    assert api.get(f"/api/v1/templates/{created['id']}").json() == created
    assert [each["id"] for each in api.get("/api/v1/templates", engine="docx").json()] == [created["id"]]


def test_over_the_network_as_curl_sends_it(server, api):
    answer = requests.post(
        f"{server}/api/v1/templates",
        data={"name": "Letter", "engine": "docx"},
        files={"file": ("letter.docx", LETTER, DOCX_TYPE)},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=100,
    )
    assert (answer.status_code, answer.json()["engine"]) == (201, "docx")


def test_version_one_holds_the_cleaned_file_and_no_source(server, api):
    template = Template.objects.get(pk=upload(api, LETTER).json()["id"])
    version = template.current_version
    assert (version.number, version.source, list(version.files)) == (1, "", ["template.docx"])
    assert "Dear {{ name" in Document(io.BytesIO(bytes_of(template))).paragraphs[0].text
    row = AuditEntry.objects.get(subject=template.id)
    assert (row.action, row.actor) == ("template.created", str(api.team.api_keys.get()))


def test_what_was_cleaned_away_is_told_and_gone(server, api):
    dirty = with_relationship(LETTER, "attachedTemplate", "file:///C:/secret.dotm", external=True)
    answer = upload(api, dirty).json()
    assert len(answer["warnings"]) == 1, answer["warnings"]
    kept = bytes_of(Template.objects.get(pk=answer["id"]))
    with zipfile.ZipFile(io.BytesIO(kept)) as archive:
        assert not any(b"secret.dotm" in archive.read(name) for name in archive.namelist())
    with zipfile.ZipFile(io.BytesIO(dirty)) as archive:
        assert any(b"secret.dotm" in archive.read(name) for name in archive.namelist())


def test_project_and_pattern_are_kept(server, api):
    project = Project.objects.create(team=api.team, name="Letters")
    answer = upload(api, LETTER, project_id=project.id, filename_pattern="{name}")
    template = Template.objects.get(pk=answer.json()["id"])
    assert (template.project, template.filename_pattern) == (project, "{name}")


def test_another_teams_project_is_404_before_a_worker_is_asked(server, api, other_api, nothing_changes):
    theirs = Project.objects.get(team=other_api.team)
    with nothing_changes(api, other_api):
        answer = upload(api, b"not even a Word file", project_id=theirs.id)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})


def test_another_team_does_not_find_it(server, api, other_api):
    template_id = upload(api, LETTER).json()["id"]
    assert other_api.get(f"/api/v1/templates/{template_id}").status_code == 404
    assert other_api.post("/api/v1/renders", {"template_id": template_id}).status_code == 404


# ---- Fields -------------------------------------------------------------------------------------------


def test_authored_fields_go_first_and_the_rest_is_inferred(server, api):
    authored = [
        {"key": "due_date", "label": "Payable until", "required": True, "example": "2026-12-24"},
        {"key": "name", "label": "Wer", "type": "text", "required": False, "example": " "},
        {"key": "unused_one"},
    ]
    answer = upload(api, LETTER, fields=json.dumps(authored))
    assert answer.status_code == 201, answer.content
    assert answer.json()["available_fields"] == [
        {"key": "due_date", "label": "Payable until", "type": "date", "required": True, "example": "2026-12-24"},
        {"key": "name", "label": "Wer", "type": "text", "required": False, "example": " "},
        {"key": "unused_one", "label": "Unused one", "type": "text", "required": False, "example": ""},
        {"key": "items", "label": "Items", "type": "array", "required": False, "example": ""},
    ]
    assert [field["label"] for field in answer.json()["fields"]] == ["Payable until", "Wer", "Unused one", "Items"]


def test_what_no_database_can_hold_is_taken_out_of_an_example(server, api):
    """Escaped in a literal of the template, where XML itself has no such characters."""
    answer = upload(api, word_file(r'{{ a|default("x\u0000y") }} {{ b|default("\ud800") }} {{ c|default("ü") }}'))
    assert answer.status_code == 201, answer.content
    assert [field["example"] for field in answer.json()["available_fields"]] == ["xy", "?", "ü"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("no JSON", "fields: It is not valid JSON: Expecting value (line 1, column 1)."),
        ("{}", "fields: Must be a JSON array of at most 1,000 objects."),
        ("[1]", "fields.0: Invalid data. Expected a dictionary, but got int."),
        ('[{"label": "A"}]', "fields.0.key: This field is required."),
        ('[{"key": ""}]', "fields.0.key: This field may not be blank."),
        ('[{"key": "a", "type": "image"}]', "fields.0.type: Must be one of: text, date, number, array."),
        ('[{"key": "a", "required": 1}]', "fields.0.required: Must be true or false."),
        ('[{"key": "a", "example": 5}]', "fields.0.example: Must be a string."),
        ('[{"key": "a"}, {"key": "a"}]', "fields: the key a is given twice."),
        (r'[{"key": "a\u0000"}]', "fields: contains a NUL character (\\u0000), which no document can hold."),
        ("[" + ",".join(['{"key": "a"}'] * 1001) + "]", "fields: Must be a JSON array of at most 1,000 objects."),
    ],
)
def test_fields_that_are_none_are_422(server, api, nothing_changes, fields, message):
    with nothing_changes(api):
        answer = upload(api, LETTER, fields=fields)
    assert (answer.status_code, answer.json()["error"]) == (422, message)


def test_document_of_too_many_fields_is_422(server, api, nothing_changes):
    with nothing_changes(api):
        answer = upload(api, word_file(" ".join(f"{{{{ f{number} }}}}" for number in range(1001))))
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "fields: a template may have at most 1,000 fields."},
    )


# ---- Refusals -----------------------------------------------------------------------------------------

REFUSED = [
    (b"", "file: the file is empty"),
    (b"Just text", "file: the file is not a Word document"),
    (word_file("Fine", "Dear {{ name|shout }},"), "file: body, paragraph 2"),
    (word_file("{% if a %}"), "file: body, paragraph 1"),
    (word_file("Hello", "{#items}{name}{/items}"), "file: body, paragraph 2"),
    (
        with_part(LETTER, "word/vbaProject.bin", b"x", "application/vnd.ms-office.vbaProject"),
        "file: the document holds m",
    ),
]


@pytest.mark.parametrize(("content", "begins"), REFUSED, ids=range(len(REFUSED)))
def test_file_that_cannot_be_kept_is_422_with_the_place(server, api, nothing_changes, content, begins):
    with nothing_changes(api):
        answer = upload(api, content)
    assert answer.status_code == 422, answer.content
    assert answer.json()["error"].startswith(begins)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [("{#items}{name}{/items}", "docxtemplater"), ("{d.name}", "Carbone"), ("{{#each a}}", "Handlebars")],
)
def test_template_of_another_product_is_named(server, api, nothing_changes, text, dialect):
    with nothing_changes(api):
        answer = upload(api, word_file("Hello", text))
    assert answer.status_code == 422
    assert dialect in answer.json()["error"]


@pytest.mark.parametrize("missing", ["name", "engine", "file"])
def test_missing_part_is_400(api, nothing_changes, missing):
    with nothing_changes(api):
        answer = upload(api, None if missing == "file" else LETTER, leave_out=missing)
    assert (answer.status_code, answer.json()) == (400, {"error": f"{missing}: This field is required."})


@pytest.mark.parametrize(
    ("engine", "error"),
    [
        ("typst", "file: the archive has no main.typ at its top"),
        ("canvas", "file: Of a canvas template it must be UTF-8 text."),
    ],
)
def test_word_file_for_another_engine_is_refused(api, nothing_changes, engine, error):
    with nothing_changes(api):
        answer = upload(api, LETTER, engine=engine)
    assert (answer.status_code, answer.json()) == (422, {"error": error})


def test_file_above_the_limit_is_413(api, nothing_changes):
    with nothing_changes(api):
        answer = upload(api, b"x" * (settings.MAX_DOCX_BYTES + 1))
    assert (answer.status_code, answer.json()) == (
        413,
        {"error": "file: larger than 10,000,000 bytes. Make its pictures smaller."},
    )


@pytest.mark.parametrize(("more", "status"), [({"source": "x"}, 422), ({}, 400)])
def test_word_template_in_json_is_told_to_come_as_multipart(api, nothing_changes, more, status):
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", {"name": "A", "engine": "docx", **more})
    assert (answer.status_code, answer.json()["error"]) == (
        status,
        "engine: A docx template is a Word file: send it as multipart/form-data with `name`, `engine` and `file`.",
    )


# ---- Parts of the server away -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("away", "message"),
    [
        ("REDIS_URL", "No worker could look at it just now. Try again in a moment."),
        ("S3_ENDPOINT_URL", "The file store is not reachable. Try again."),
    ],
)
def test_without_broker_or_store_it_is_503_soon(api, start_web, nothing_changes, away, message):
    scheme = "redis" if away == "REDIS_URL" else "http"
    base = start_web(**{away: f"{scheme}://127.0.0.1:{free_port()}"})
    started = time.monotonic()
    with nothing_changes(api):
        answer = requests.post(
            f"{base}/api/v1/templates",
            data={"name": "Letter", "engine": "docx"},
            files={"file": ("letter.docx", LETTER, DOCX_TYPE)},
            headers={"Authorization": f"Bearer {api.key}"},
            timeout=100,
        )
    assert (answer.status_code, answer.json()) == (503, {"error": message})
    assert answer.headers["Retry-After"] == "2"
    assert time.monotonic() - started < 25  # a worker that was asked may take 30
