"""Files whose time is over: gone for callers at that moment, gone from the store soon after, whatever is killed."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Team
from accounts.services import change_retention
from automette.lib import store
from automette.lib.errors import InvalidValueError
from renders import retention, statements
from renders.models import ObjectDeletion, Render, RenderFile
from renders.tasks import delete_expired_files
from tests.conftest import wait_until
from tests.renders.faults import (
    own_database,
    row,
    store_gate,
    stored,
)
from tests.renders.finished import CONTENT, finish

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def own_rows(database):
    """A database in which nothing but what a test makes is due."""
    with own_database() as url:
        yield url


@pytest.fixture(autouse=True)
def nothing_else_is_due(own_rows):
    yield
    ObjectDeletion.objects.all().delete()
    Render.objects.filter(finished_at=None).update(ring_at=Now() + HOUR)
    Render.objects.filter(expired_at=None).exclude(expires_at=None).update(expires_at=Now() + HOUR)


@pytest.fixture
def made(api, accept):
    """A finished render with a file in the store that expires in an hour."""

    def make(**more) -> Render:
        return finish(accept(api, api.template(), expires_in=3600, **more))

    return make


def be_due(*renders: Render) -> None:
    """Let their time be over since a second, and their uploads for long."""
    Render.objects.filter(pk__in=[render.pk for render in renders]).update(
        expires_at=Now() - SECOND, finished_at=Now() - HOUR
    )


def key_of(render: Render) -> str:
    return RenderFile.objects.get(render=render).key


# --- when


def test_time_runs_from_the_end_of_the_render(api, made):
    render = made()
    assert (render.expires_in, render.expires_at - render.finished_at) == (3600, dt.timedelta(hours=1))
    assert render.expires_at - render.created_at > dt.timedelta(hours=1)
    body = api.get(f"/api/v1/renders/{render.id}").json()
    assert body["expires_at"] == f"{render.expires_at:%Y-%m-%dT%H:%M:%S}.{render.expires_at.microsecond // 1000:03}Z"
    assert (body["expired_at"], body["url"] is None) == (None, False)


def test_render_says_it_else_the_team_else_never(api):
    template_id = api.template()

    def asked(**more) -> int | None:
        answer = api.post("/api/v1/renders", {"template_id": template_id, **more})
        assert answer.status_code == 202, answer.content
        assert (answer.json()["expires_at"], answer.json()["expired_at"]) == (None, None)
        return row(answer.json()["id"]).expires_in

    assert (asked(), asked(expires_in=60), asked(expires_in=315_360_000)) == (None, 60, 315_360_000)
    change_retention(team=api.team, seconds=86_400, actor="test")
    assert (asked(), asked(expires_in=None), asked(expires_in=60)) == (86_400, 86_400, 60)
    change_retention(team=api.team, seconds=None, actor="test")
    assert asked() is None


@pytest.mark.parametrize("value", [59, 315_360_001, 0, -1, 10**30, "3600", True, 3600.0, 3600.5, [], {}])
def test_wrong_time_is_422(api, nothing_changes, value):
    template_id = api.template()
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", {"template_id": template_id, "expires_in": value})
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "expires_in")


def test_a_render_that_fails_has_nothing_that_expires(api, accept):
    render = accept(api, api.template(), expires_in=60)
    statements.claim(render.id, lease_seconds=3600)
    statements.fail(render.id, attempt=1, error="No.", code="template_error")
    assert row(render.id).expires_at is None


def test_command_sets_the_teams_time(api, capsys):
    call_command("set_retention", api.team.id, "604800")
    assert capsys.readouterr().out == "Files of new renders of A team expire 604,800 seconds after they were made.\n"
    assert Team.objects.get(pk=api.team.pk).files_expire_after_seconds == 604_800
    call_command("set_retention", api.team.id, "never", "--json")
    assert Team.objects.get(pk=api.team.pk).files_expire_after_seconds is None
    entries = AuditEntry.objects.filter(team=api.team, action="team.retention_changed").order_by("created_at")
    assert [entry.detail for entry in entries] == [
        {"files_expire_after_seconds": 604_800},
        {"files_expire_after_seconds": None},
    ]
    for wrong in ("59", "315360001", "a week", "-60", "60.5"):
        with pytest.raises(CommandError):
            call_command("set_retention", api.team.id, wrong)
    with pytest.raises(InvalidValueError):
        change_retention(team=api.team, seconds=59, actor="test")
    with pytest.raises(IntegrityError, match="team_expiry_in_range"), transaction.atomic():
        Team.objects.filter(pk=api.team.pk).update(files_expire_after_seconds=59)


# --- what callers see


@pytest.mark.parametrize("is_marked", [False, True])
@pytest.mark.parametrize("visibility", ["public", "secure"])
def test_from_that_moment_nobody_is_led_to_the_files(api, made, visibility, is_marked):
    """Also before a worker has come to it."""
    render = made(visibility=visibility)
    be_due(render)
    if is_marked:
        delete_expired_files()
    body = api.get(f"/api/v1/renders/{render.id}").json()
    assert (body["status"], body["url"], body["expired_at"]) == ("completed", None, body["expires_at"])
    (item,) = api.get("/api/v1/renders").json()["renders"]
    assert (item["url"], item["expired_at"]) == (None, body["expires_at"])
    answer = api.get(f"/api/v1/renders/{render.id}", download="true")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": f"The files of this render expired at {body['expires_at']}."},
    )
    assert Client().get(f"/renders/{render.id}.pdf").status_code == 404
    assert api.credits() == 99


def test_without_that_look_at_the_clock_they_would_be_led_there_until_a_worker_comes(made):
    """The control: the file's row is still there, and so is the object."""
    render = made()
    be_due(render)
    assert stored(key_of(render)) is not None


def test_both_formats_of_a_word_render_lose_their_address(api, made):
    render = made(formats=["pdf", "docx"])
    Render.objects.filter(pk=render.pk).update(engine="docx")
    url = f"http://localhost:8000/renders/{render.id}"
    files = [{"format": "pdf", "url": f"{url}.pdf"}, {"format": "docx", "url": f"{url}.docx"}]
    assert api.get(f"/api/v1/renders/{render.id}").json()["files"] == files
    be_due(render)
    delete_expired_files()
    files = [{"format": "pdf", "url": None}, {"format": "docx", "url": None}]
    assert api.get(f"/api/v1/renders/{render.id}").json()["files"] == files
    assert [stored(key) for key in render.possible_keys] == [None, None]


def test_other_team_sees_no_difference(other_api, made):
    render = made(visibility="secure")
    before = other_api.get(f"/api/v1/renders/{render.id}", download="true")
    be_due(render)
    delete_expired_files()
    after = other_api.get(f"/api/v1/renders/{render.id}", download="true")
    assert (
        (after.status_code, after.content) == (before.status_code, before.content) == (404, b'{"error":"Not found."}')
    )


def test_no_cache_keeps_it_longer_than_that(made):
    render = made()
    for headers in ({}, {"If-None-Match": f'"{render.files.get().sha256}"'}):
        answer = Client().get(f"/renders/{render.id}.pdf", headers=headers)
        kept, word = answer.headers["Cache-Control"].removeprefix("public, max-age=").split(", ")
        assert (3500 < int(kept) <= 3600, word) == (True, "immutable")
        answer.close()
    Render.objects.filter(pk=render.pk).update(expires_at=Now() + dt.timedelta(days=3650))
    answer = Client().head(f"/renders/{render.id}.pdf")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_signed_address_ends_with_the_file(api, made):
    render = made(visibility="secure")
    Render.objects.filter(pk=render.pk).update(expires_at=Now() + dt.timedelta(seconds=20))
    before = timezone.now()
    location = api.get(f"/api/v1/renders/{render.id}", download="true").headers["Location"]
    least, most = (int((row(render.id).expires_at - now).total_seconds()) for now in (timezone.now(), before))
    seconds = int(location.partition("X-Amz-Expires=")[2].partition("&")[0])
    assert max(1, least) <= seconds <= most <= 20


# --- what becomes of the objects


@pytest.mark.parametrize("visibility", ["public", "secure"])
def test_object_is_deleted_the_row_stays(made, visibility):
    render, kept = made(visibility=visibility), made(visibility=visibility)
    key = key_of(render)
    delete_expired_files()
    assert stored(key) is not None
    be_due(render)
    delete_expired_files()
    after = row(render.id)
    assert (stored(key), after.expired_at, after.files.count()) == (None, after.expires_at, 0)
    assert (after.status, after.data, after.filename) == ("completed", "{}", "x.pdf")
    assert stored(key_of(kept)) is not None
    assert not ObjectDeletion.objects.exists()
    before = Render.objects.filter(pk=render.pk).values().get()
    delete_expired_files()  # a repeat changes nothing
    assert Render.objects.filter(pk=render.pk).values().get() == before


def test_deleting_an_expired_render_is_receipted_without_files(api, made):
    render = made()
    be_due(render)
    delete_expired_files()
    body = api.send("DELETE", f"/api/v1/renders/{render.id}").json()
    assert (body["status"], body["files"], body["files_deleted"]) == ("completed", [], True)


def test_a_deleted_render_does_not_expire(api, made):
    render = made()
    api.send("DELETE", f"/api/v1/renders/{render.id}")
    before = Render.objects.filter(pk=render.pk).values().get()
    Render.objects.filter(pk=render.pk).update(expires_at=Now() - SECOND)
    assert retention.expire_due(most=100) == 0
    assert row(render.id).expired_at is before["expired_at"] is None


def test_a_backlog_of_several_batches_is_worked_off_by_all_at_once(api, accept, own_rows):
    render = accept(api, api.template())
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO renders_render (id, team_id, job_id, template_id, template_version_id, template_name,
                engine, format, visibility, data, options, filename, queue, status, attempt, rings, error_code,
                report, superseded_files_deleted, finished_at, expires_at)
            SELECT left(id, 19) || lpad(number::text, 6, '0'), team_id, job_id, template_id, template_version_id, 'T',
                'typst', 'pdf', 'public', '{}', '{}', 'x.pdf', 'async', 'completed', 1, 0, '', '{}', false,
                now() - interval '1 hour', now() - interval '1 second'
            FROM renders_render, generate_series(1, 900) AS number WHERE id = %s""",
            [render.id],
        )
        cursor.execute(
            """INSERT INTO renders_renderfile (render_id, format, key, media_type, size_bytes, sha256)
            SELECT id, 'pdf', 'renders/' || id || '.pdf', 'application/pdf', 1, 'x' FROM renders_render
            WHERE expires_at IS NOT NULL AND team_id = %s""",
            [api.team.id],
        )
    together = threading.Barrier(3)

    def work(_):
        together.wait()
        try:
            delete_expired_files()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    expired = Render.objects.filter(team=api.team).exclude(expired_at=None)
    assert (expired.count(), RenderFile.objects.filter(render__team=api.team).count()) == (900, 0)
    assert not ObjectDeletion.objects.exists()


RUN = "import django; django.setup(); from renders.tasks import delete_expired_files; delete_expired_files()"


@pytest.mark.parametrize("moment", ["before the store has it", "after the store had it"])
def test_killed_in_the_middle_nothing_is_forgotten(api, made, own_rows, moment):
    render = made()
    key = key_of(render)
    be_due(render)
    with store_gate() as gate:
        gate.hold() if moment == "before the store has it" else gate.hold_answers()
        process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "automette.settings",
                "DATABASE_URL": own_rows,
                "S3_ENDPOINT_URL": gate.url,
            },
        )
        try:
            wait_until(lambda: gate.held)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        # Nobody is led to the object, whether it is there or not, and it is not forgotten.
        assert (stored(key) is None) == (moment == "after the store had it")
        assert (row(render.id).url, row(render.id).files.count()) == (None, 0)
        gate.open()
    deletion = ObjectDeletion.objects.get(key=key)
    delete_expired_files()
    assert ObjectDeletion.objects.filter(pk=deletion.pk).exists()  # it was the killed one's, for a minute
    ObjectDeletion.objects.update(delete_at=Now())
    delete_expired_files()
    assert (stored(key), ObjectDeletion.objects.exists()) == (None, False)


def upload(key: str) -> None:
    store.put(key, CONTENT, "application/pdf", until=time.monotonic() + 30)


def test_what_is_stored_late_is_deleted_again_until_no_upload_can_come(api, accept):
    render = accept(api, api.template())
    statements.claim(render.id, lease_seconds=5)
    lease_ends = row(render.id).lease_expires_at
    api.send("DELETE", f"/api/v1/renders/{render.id}")
    key = f"renders/{render.id}.pdf"
    (deletion,) = ObjectDeletion.objects.all()
    assert deletion.uploads_end_at - lease_ends == dt.timedelta(minutes=10)
    for _ in range(2):
        upload(key)
        ObjectDeletion.objects.update(delete_at=Now())
        delete_expired_files()
        assert stored(key) is None
        assert ObjectDeletion.objects.get().delete_at > row(render.id).deleted_at + 50 * SECOND
    ObjectDeletion.objects.update(delete_at=Now(), uploads_end_at=Now())
    delete_expired_files()
    assert not ObjectDeletion.objects.exists()


def test_without_that_patience_a_late_object_would_stay(api, accept):
    """The control: deleted once, and then forgotten."""
    render = accept(api, api.template())
    statements.claim(render.id, lease_seconds=5)
    api.send("DELETE", f"/api/v1/renders/{render.id}")
    ObjectDeletion.objects.update(uploads_end_at=Now())
    delete_expired_files()
    key = f"renders/{render.id}.pdf"
    upload(key)
    delete_expired_files()
    assert stored(key) is not None
    store.delete([key])
