"""`DELETE /renders/{id}`: the files and everything that was sent are gone; a receipt says what went."""

import hashlib
import re

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import AuditEntry
from automette.lib.ids import new_id
from credits.models import LedgerEntry
from renders import retention, statements
from renders.models import ObjectDeletion, Render, RenderFile
from tests.conftest import free_port
from tests.renders.faults import stored
from tests.renders.finished import CONTENT, finish


def delete(api, render_id):
    return api.send("DELETE", f"/api/v1/renders/{render_id}")


def tables_that_say(word: str) -> list[str]:
    """Every table of the database in which some row holds that word."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" AS r WHERE r::text LIKE %s)', [f"%{word}%"])
            found += [table] * cursor.fetchone()[0]
        return sorted(found)


@pytest.fixture
def secret() -> str:
    """What must not be kept; no other test says it."""
    return f"Zoë {new_id()}"


@pytest.fixture
def sent(secret) -> dict:
    return {
        "data": f'{{"name":"{secret}"}}',
        "options": {"note": secret},
        "filename": f"{secret}.pdf",
        "webhook_url": f"https://127.0.0.1/{secret}",
    }


@pytest.fixture
def done(api, accept, secret, sent):
    """A finished render with its file in the store, made from what must not be kept."""
    return finish(accept(api, api.template(), **sent), warning=secret)


def test_answer_is_a_receipt(api, done):
    answer = delete(api, done.id)
    body = answer.json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["deleted_at"])
    assert (answer.status_code, body) == (
        200,
        {
            "id": done.id,
            "deleted": True,
            "deleted_at": body["deleted_at"],
            "status": "completed",
            "files": [
                {
                    "format": "pdf",
                    "size_bytes": len(CONTENT) + 3,
                    "sha256": hashlib.sha256(CONTENT + b"pdf").hexdigest(),
                }
            ],
            "files_deleted": True,
        },
    )


@pytest.mark.parametrize("visibility", ["public", "secure"])
def test_every_file_is_gone_from_the_store(api, accept, visibility):
    render = accept(api, api.template(), visibility=visibility, formats=["pdf", "docx"])
    finish(render)
    keys = [file.key for file in render.files.all()]
    assert (len(keys), [stored(key) is None for key in keys]) == (2, [False, False])
    assert [file["format"] for file in delete(api, render.id).json()["files"]] == ["docx", "pdf"]
    assert [stored(key) for key in keys] == [None, None]
    assert not RenderFile.objects.filter(render=render).exists()


def test_it_is_gone_from_every_page(api, done):
    public = Client().get(f"/renders/{done.id}.pdf")
    assert public.status_code == 200
    public.close()
    delete(api, done.id)
    for path in (f"renders/{done.id}", f"renders/{done.id}?download=true"):
        answer = api.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')
    assert api.get("/api/v1/renders").json() == {"renders": [], "next_cursor": None}
    assert api.get("/api/v1/renders", status="completed").json()["renders"] == []
    assert api.get(f"/api/v1/jobs/{done.job_id}").json()["renders"] == []
    assert Client().get(f"/renders/{done.id}.pdf").status_code == 404


def test_nothing_that_was_sent_is_left_in_any_table(api, done, secret):
    assert tables_that_say(secret) == ["renders_render", "webhooks_delivery", "webhooks_event"]
    delete(api, done.id)
    assert tables_that_say(secret) == []


def test_the_engines_message_is_erased_too(api, accept, secret):
    render = accept(api, api.template())
    statements.claim(render.id, lease_seconds=3600)
    statements.fail(render.id, attempt=1, error=f"{secret} is no number.", code="template_error")
    assert delete(api, render.id).json()["status"] == "failed"
    assert tables_that_say(secret) == []
    render.refresh_from_db()
    assert (render.status, render.error) == ("failed", "The render was deleted.")


def test_a_tombstone_an_audit_entry_and_the_ledger_stay(api, done):
    delete(api, done.id)
    render = Render.objects.get(pk=done.id)
    assert (render.status, render.template_id, render.deleted_at is None) == ("completed", done.template_id, False)
    entry = AuditEntry.objects.get(action="render.deleted", subject=done.id)
    key = api.team.api_keys.get()
    assert (entry.team_id, entry.actor, entry.detail) == (
        api.team.id,
        str(key),
        {"status": "completed", "formats": ["pdf"]},
    )
    assert list(LedgerEntry.objects.filter(render_id=done.id).values_list("kind", "amount")) == [("charge", -1)]
    assert api.credits() == 99  # it was made, and stays paid


def test_database_refuses_a_tombstone_that_still_holds_something(api, done):
    for change in ({}, {"data": "{}", "filename": ""}, {"data": "{}", "webhook_url": None}):
        with pytest.raises(IntegrityError, match="render_deleted_is_erased"), transaction.atomic():
            Render.objects.filter(pk=done.pk).update(deleted_at=done.created_at, **change)


def test_second_time_is_404_and_changes_nothing(api, done, nothing_changes):
    delete(api, done.id)
    before = Render.objects.filter(pk=done.id).values().get()
    with nothing_changes(api):
        answer = delete(api, done.id)
    assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')
    assert Render.objects.filter(pk=done.id).values().get() == before
    assert AuditEntry.objects.filter(action="render.deleted", subject=done.id).count() == 1


def test_other_teams_render_is_404_and_keeps_its_file(api, other_api, done):
    answer = delete(other_api, done.id)
    assert (answer.status_code, answer.content) == (404, delete(other_api, new_id()).content)
    assert api.get(f"/api/v1/renders/{done.id}").json()["status"] == "completed"
    assert stored(done.files.get().key) is not None


@pytest.mark.parametrize("state", ["pending", "running", "given back"])
def test_open_render_is_ended_and_its_credit_given_back(api, accept, secret, sent, state):
    render = accept(api, api.template(), **sent)
    taken = None if state == "pending" else statements.claim(render.id, lease_seconds=3600)
    if state == "given back":
        statements.give_back(taken, pause_seconds=0)
    assert api.credits() == 99
    body = delete(api, render.id).json()
    assert (body["status"], body["files"]) == ("running" if state == "running" else "pending", [])
    assert api.credits() == 100
    kinds = LedgerEntry.objects.filter(render_id=render.id).order_by("id").values_list("kind", "amount", "actor")
    assert list(kinds) == [("charge", -1, "test"), ("refund", 1, "render deleted")]
    render.refresh_from_db()
    assert (render.status, render.error_code) == ("failed", "deleted")
    assert tables_that_say(secret) == []
    assert statements.claim(render.id, lease_seconds=3600) is None


def test_worker_of_a_deleted_render_changes_nothing(api, accept):
    render = accept(api, api.template())
    taken = statements.claim(render.id, lease_seconds=3600)
    delete(api, render.id)
    before = Render.objects.filter(pk=render.id).values().get()
    file = statements.StoredFile("pdf", f"renders/{render.id}.pdf", "application/pdf", 3, "0" * 64)
    assert not statements.complete(taken, files=[file], pages=1, report={})
    assert not statements.fail(render.id, attempt=1, error="No.", code="internal")
    assert not statements.give_back(taken, pause_seconds=0)
    assert statements.renew([(render.id, 1)], lease_seconds=3600) == set()
    assert Render.objects.filter(pk=render.id).values().get() == before
    assert (api.credits(), render.files.count()) == (100, 0)


def test_cursor_of_a_deleted_render_still_leads_on(api, accept):
    template_id = api.template()
    ids = sorted((accept(api, template_id).id for _ in range(3)), reverse=True)
    delete(api, ids[1])
    answer = api.get("/api/v1/renders", cursor=ids[1])
    assert [render["id"] for render in answer.json()["renders"]] == ids[2:]


def test_while_the_store_is_away_the_data_goes_and_the_file_follows(api, done, secret, settings):
    key = done.files.get().key
    with_store = settings.S3_ENDPOINT_URL
    settings.S3_ENDPOINT_URL = f"http://127.0.0.1:{free_port()}"
    body = delete(api, done.id).json()
    assert (body["deleted"], body["files_deleted"]) == (True, False)
    assert (tables_that_say(secret), Client().get(f"/renders/{done.id}.pdf").status_code) == ([], 404)
    retention.delete_expired_files()  # still away: it stays noted
    settings.S3_ENDPOINT_URL = with_store
    assert stored(key) is not None
    assert ObjectDeletion.objects.filter(key=key).exists()
    ObjectDeletion.objects.filter(key=key).update(delete_at=done.created_at)
    retention.delete_expired_files()
    assert stored(key) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_nothing_else_changes_a_render(api, done, method):
    assert api.send(method, f"/api/v1/renders/{done.id}", b"{}").status_code == 405
