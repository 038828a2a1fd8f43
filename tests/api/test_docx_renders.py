"""Word templates rendered as PDF, as Word, or both, by the whole running application.

Where there is no LibreOffice, every PDF fails with the sentence that says so, and the credit comes back.
"""

import datetime as dt
import io
import time
from urllib.parse import urlsplit

import jsonschema
import pypdf
import pytest
import requests
from django.test import Client
from django.utils import timezone
from docx import Document

from automette.lib import store
from renders import execution, statements
from renders.models import Render, RenderFile, object_key
from templates_app.services import create_trusted_docx_template
from tests.api.uploading import DOCX_TYPE, upload
from tests.docx.word_files import word_file
from workers.docx.office import INSTALL_HINT, find_program

pytestmark = pytest.mark.usefixtures("server")

LETTER = word_file("Dear {{ name }}, {% for x in items %}<{{ x }}>{% endfor %}", "{{ 1/(n - 1) if n else '' }}")
DATA = {"name": "Zoë & Søn", "items": ["a", 2]}
LONG_LIST = ["x"] * 5_000
TEXT = "Dear Zoë & Søn, <a><2>"
BAD_FORMATS = 'formats: Must be ["pdf"], ["docx"] or both.'


@pytest.fixture
def letter(api) -> str:
    answer = upload(api, LETTER, name="Lettre à Zoë")
    assert answer.status_code == 201, answer.content
    return answer.json()["id"]


def rendered(api, template_id, formats, **more) -> dict | None:
    """The answer with the finished files; None where a PDF was asked for and there is no LibreOffice."""
    before = api.credits()
    status, body = api.render(template_id, formats=formats, **more)
    if "pdf" in formats and find_program() is None:
        assert (status, body["error"], api.credits()) == (422, INSTALL_HINT, before)
        return None
    assert (status, api.credits()) == (200, before - 1), body
    return body


def text_of(content: bytes) -> str:
    if content.startswith(b"%PDF-"):
        return pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text().strip()
    return Document(io.BytesIO(content)).paragraphs[0].text


def fetch(server, url: str, key: str | None = None):
    """Ask the running server for an address that it gave; its own tests name another host."""
    parts = urlsplit(url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.get(f"{server}{parts.path}?{parts.query}", headers=headers, timeout=60, allow_redirects=False)


@pytest.mark.parametrize("formats", [["pdf"], ["docx"], ["pdf", "docx"], ["docx", "pdf"]])
def test_each_format_has_its_file_and_the_first_is_the_renders_own(api, server, letter, formats):
    body = rendered(api, letter, formats, data=DATA)
    if body is None:
        return
    base = f"http://localhost:8000/renders/{body['id']}"
    assert body == {
        "id": body["id"],
        "self": f"http://localhost:8000/api/v1/renders/{body['id']}",
        "job_id": body["job_id"],
        "status": "completed",
        "expires_at": None,
        "expired_at": None,
        "url": f"{base}.{formats[0]}",
        "format": formats[0],
        "template_id": letter,
        "template_name": "Lettre à Zoë",
        "data": DATA,
        "created_at": body["created_at"],
        "files": [{"format": each, "url": f"{base}.{each}"} for each in formats],
    }
    for file in body["files"]:
        answer = fetch(server, file["url"])
        media_type = "application/pdf" if file["format"] == "pdf" else DOCX_TYPE
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
        assert text_of(answer.content) == TEXT
    assert sorted(RenderFile.objects.filter(render_id=body["id"]).values_list("format", flat=True)) == sorted(formats)
    assert {"docx", "pdf"} - set(formats) == {
        each for each in ("docx", "pdf") if fetch(server, f"{base}.{each}").status_code == 404
    }


@pytest.mark.parametrize(
    ("more", "made"),
    [
        ({}, ["pdf"]),
        ({"format": "pdf"}, ["pdf"]),
        ({"format": "docx"}, ["docx"]),
        ({"format": "pdf", "formats": ["docx"]}, ["docx"]),
        ({"format": "docx", "formats": None}, ["docx"]),
    ],
)
def test_without_formats_the_format_decides(api, letter, more, made):
    body = api.post("/api/v1/renders", {"template_id": letter, **more}).json()
    assert (body["format"], body["files"]) == (made[0], [{"format": each, "url": None} for each in made])


@pytest.mark.parametrize(
    "formats", [[], ["png"], ["pdf", "png"], ["pdf", "pdf"], "pdf", {"pdf": 1}, [None], [["pdf"]], 5, [True], ["PDF"]]
)
def test_other_formats_are_422(api, letter, nothing_changes, formats):
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", {"template_id": letter, "formats": formats})
    assert (answer.status_code, answer.json()) == (422, {"error": BAD_FORMATS})


@pytest.mark.parametrize("formats", [["docx"], [], 5, None, "pdf"])
def test_other_engines_ignore_formats(api, formats):
    answer = api.post("/api/v1/renders", {"template_id": api.template(), "formats": formats})
    assert (answer.status_code, answer.json()["format"], "files" in answer.json()) == (202, "pdf", False)


def test_picture_of_a_word_template_is_422(api, letter, nothing_changes):
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", {"template_id": letter, "format": "png"})
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "format: docx templates can be rendered as pdf, docx."},
    )


def test_async_render_has_addresses_once_it_is_completed(api, server, letter, wait):
    answer = api.post("/api/v1/renders", {"template_id": letter, "data": DATA, "formats": ["pdf", "docx"]})
    assert (answer.status_code, answer.json()["status"], answer.json()["url"]) == (202, "pending", None)
    assert answer.json()["files"] == [{"format": "pdf", "url": None}, {"format": "docx", "url": None}]
    assert Render.objects.get(pk=answer.json()["id"]).queue == "docx"
    ended = wait(api, answer.json()["id"])
    if find_program() is None:
        assert (ended["status"], ended["error"], api.credits()) == ("failed", INSTALL_HINT, 100)
        return
    assert ended["status"] == "completed", ended
    assert [text_of(fetch(server, file["url"]).content) for file in ended["files"]] == [TEXT, TEXT]


def test_sync_render_goes_before_the_async_ones(api, letter):
    body = rendered(api, letter, ["docx"])
    assert Render.objects.get(pk=body["id"]).queue == "interactive"


def test_answers_fit_the_openapi_document(api, letter):
    document = Client().get("/api/v1/openapi.json", headers={"Accept": "application/json"}).json()
    created = api.post("/api/v1/renders", {"template_id": letter, "formats": ["docx"]})
    answers = {
        ("post", "/api/v1/templates"): upload(api, LETTER),
        ("get", "/api/v1/templates/{template_id}"): api.get(f"/api/v1/templates/{letter}"),
        ("post", "/api/v1/renders"): created,
        ("get", "/api/v1/renders/{render_id}"): api.get(f"/api/v1/renders/{created.json()['id']}"),
    }
    for (method, path), answer in answers.items():
        described = document["paths"][path][method]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})


# ---- Files --------------------------------------------------------------------------------------------


def test_word_file_is_saved_and_pdf_is_shown_under_the_renders_name(api, server, letter):
    body = rendered(api, letter, ["pdf", "docx"], filename_pattern="{template}")
    if body is None:
        return
    told = [fetch(server, file["url"]).headers["Content-Disposition"] for file in body["files"]]
    assert told == [
        f"{how}; filename=\"Lettre a Zoe.{each}\"; filename*=UTF-8''Lettre%20%C3%A0%20Zo%C3%AB.{each}"
        for how, each in (("inline", "pdf"), ("attachment", "docx"))
    ]


def test_secure_files_need_the_key_and_each_has_its_address(api, other_api, server, letter):
    body = rendered(api, letter, ["docx", "pdf"], data=DATA, visibility="secure")
    if body is None:
        return
    assert body["url"] == f"{body['self']}?download=true"
    assert body["files"] == [
        {"format": each, "url": f"{body['self']}?download=true&format={each}"} for each in ("docx", "pdf")
    ]
    for url, kind in [(body["url"], b"PK\x03\x04"), *((f["url"], f["format"]) for f in body["files"])]:
        assert fetch(server, url).status_code == 401
        assert fetch(server, url, other_api.key).status_code == 404
        answer = fetch(server, url, api.key)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
        content = requests.get(answer.headers["Location"], timeout=60).content
        assert content.startswith({"pdf": b"%PDF-", "docx": b"PK\x03\x04"}.get(kind, kind))
        assert text_of(content) == TEXT
    for each in ("pdf", "docx"):
        assert fetch(server, f"{server}/renders/{body['id']}.{each}").status_code == 404


def test_download_of_a_format_that_was_not_asked_for_is_404_and_too_early_is_425(api, accept, letter):
    body = rendered(api, letter, ["docx"], visibility="secure")
    path = f"/api/v1/renders/{body['id']}"
    assert api.get(path, download="true", format="docx").status_code == 302
    assert api.get(path, download="true", format="pdf").status_code == 404
    waiting = accept(api, letter, formats=["pdf", "docx"])
    assert api.get(f"/api/v1/renders/{waiting.id}", download="true", format="docx").status_code == 425


def test_what_an_overtaken_attempt_wrote_is_removed_in_every_format(api, accept, letter):
    render = accept(api, letter, formats=["pdf", "docx"], visibility="secure")
    keys = {
        (attempt, each): object_key(render_id=render.id, visibility="secure", extension=each, attempt=attempt)
        for attempt in (1, 2)
        for each in ("pdf", "docx")
    }
    for key in keys.values():
        store.put(key, b"x", "application/pdf", until=time.monotonic() + 60)
    statements.claim(render.id, lease_seconds=0)
    taken = statements.claim(render.id, lease_seconds=60)
    files = [statements.StoredFile(each, keys[2, each], "application/pdf", 1, "0" * 64) for each in ("pdf", "docx")]
    assert statements.complete(taken, files=files, pages=1, report={})
    Render.objects.filter(pk=render.pk).update(finished_at=timezone.now() - dt.timedelta(hours=1))
    execution.delete_superseded_files()
    assert set(store.list_keys(f"secure/{render.id}")) == {keys[2, "pdf"], keys[2, "docx"]}


def test_files_of_a_late_attempt_do_not_appear(api, accept, letter):
    render = accept(api, letter, formats=["pdf", "docx"])
    late = statements.claim(render.id, lease_seconds=0)
    statements.claim(render.id, lease_seconds=60)
    files = [statements.StoredFile(each, f"x/{render.id}.{each}", "a/b", 1, "0" * 64) for each in ("pdf", "docx")]
    assert not statements.complete(late, files=files, pages=1, report={})
    assert not RenderFile.objects.filter(render=render).exists()


# ---- Failing, options, limits -------------------------------------------------------------------------


def test_failing_template_is_422_with_the_paragraph_and_the_credit_is_back(api, letter):
    status, body = api.render(letter, data={"n": 1}, formats=["docx"])
    assert status == 422
    assert body["error"].startswith('body, paragraph 2 ("{{ 1/(n - 1) if n else')
    assert "division by zero" in body["error"]
    assert (set(body), body["status"], api.credits()) == ({"error", "id", "self", "status"}, "failed", 100)
    got = api.get(f"/api/v1/renders/{body['id']}").json()
    assert (got["status"], got["url"], got["files"]) == ("failed", None, [{"format": "docx", "url": None}])


def test_failing_template_ends_an_async_render_the_same(api, letter, wait):
    created = api.post("/api/v1/renders", {"template_id": letter, "data": {"n": 1}, "formats": ["docx"]}).json()
    ended = wait(api, created["id"])
    assert (ended["status"], ended["files"], api.credits()) == ("failed", [{"format": "docx", "url": None}], 100)
    assert ended["error"].startswith("body, paragraph 2")


def test_options_reach_the_engine(api, server):
    template_id = upload(api, word_file("{{ 1234.5|currency('EUR') }}")).json()["id"]
    body = rendered(api, template_id, ["docx"], options={"locale": "de"})
    assert text_of(fetch(server, body["url"]).content) == "1.234,50\xa0€"
    body = rendered(api, template_id, ["pdf"], options={"pdf_standard": "a-2b"})
    assert body is None or b"pdfaid:part" in fetch(server, body["url"]).content
    status, body = api.render(template_id, options={"ppi": 300})
    assert (status, body["error"].split(";")[0]) == (422, 'option "ppi" does not exist for pdf')


def test_many_word_renders_do_not_delay_other_engines(without_a_worker, new_api, wait):
    """All of them have their message before a worker comes. In one queue each would begin before a later render."""
    installation = without_a_worker(RUNNING_RENDERS_PER_TEAM="0")
    api, other_api = new_api(), new_api()
    letter = create_trusted_docx_template(team=api.team, actor="test", name="Letter", content=LETTER, fields=[])

    def ask(caller, **body) -> str:
        headers = {"Authorization": f"Bearer {caller.key}"}
        address = f"{installation.base}/api/v1/renders"
        answer = requests.post(address, json=body, headers=headers, timeout=60)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    for number in range(60):
        ask(api, template_id=letter.id, data={"name": str(number), "items": LONG_LIST}, formats=["docx"])
    other = ask(other_api, template_id=other_api.template())
    installation.worker()
    assert wait(other_api, other)["status"] == "completed"
    earlier = {"started_at__lt": Render.objects.get(pk=other).started_at}
    assert api.team.renders.exclude(**earlier).exists()
