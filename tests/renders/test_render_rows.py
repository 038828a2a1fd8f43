"""What the database refuses about renders and files, and the fence around a late worker."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from renders import statements
from renders.models import Job, Render, RenderFile

HOUR = 3600


@pytest.fixture
def render(api, accept) -> Render:
    return accept(api, api.template())


def file_of(render) -> statements.StoredFile:
    return statements.StoredFile("pdf", f"renders/{render.id}.pdf", "application/pdf", 3, "0" * 64)


def expire(render) -> None:
    """Let the lease of a claimed render be over."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE renders_render SET lease_expires_at = now() - interval '1 second' WHERE id = %s", [render.id]
        )


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"status": "done"}, "render_(status_known|finished_iff_final)"),
        ({"visibility": "hidden"}, "render_visibility_known"),
        ({"attempt": 4}, "render_attempts_bounded"),
        ({"status": "completed"}, "render_finished_iff_final"),
        ({"status": "running", "lease_expires_at": Now(), "ring_at": None}, "render_finished_iff_final"),
        ({"error": "No."}, "render_error_iff_failed"),
        ({"status": "running"}, "render_running_has_lease"),
    ],
)
def test_database_refuses_a_state_that_cannot_be(render, change, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Render.objects.filter(pk=render.pk).update(**change)


def test_database_takes_one_file_of_each_format_and_none_that_is_empty(render):
    row = {"render": render, "media_type": "application/pdf", "sha256": "0" * 64}
    RenderFile.objects.create(**row, format="pdf", key=f"a/{render.id}", size_bytes=1)
    for more, constraint in [
        ({"format": "pdf", "key": f"b/{render.id}", "size_bytes": 1}, "file_once_per_render_and_format"),
        ({"format": "png", "key": f"a/{render.id}", "size_bytes": 1}, "key"),
        ({"format": "png", "key": f"c/{render.id}", "size_bytes": 0}, "file_not_empty"),
    ]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            RenderFile.objects.create(**row, **more)


def test_job_has_a_known_source(api):
    with pytest.raises(IntegrityError, match="job_source_known"), transaction.atomic():
        Job.objects.create(team=api.team, source="email")


def test_render_is_claimed_by_one(render):
    first = statements.claim(render.id, lease_seconds=HOUR)
    assert (first.attempt, first.render_id, first.source) == (1, render.id, render.template_version.source)
    assert statements.claim(render.id, lease_seconds=HOUR) is None


def test_late_worker_changes_nothing(api, render):
    """The fence: every change names its attempt."""
    late = statements.claim(render.id, lease_seconds=HOUR)
    expire(render)
    now = statements.claim(render.id, lease_seconds=HOUR)
    assert (late.attempt, now.attempt) == (1, 2)
    assert not statements.complete(late, files=[file_of(render)], pages=1, report={})
    assert not statements.fail(render.id, attempt=1, error="No.", code="internal")
    assert not statements.give_back(late, pause_seconds=0)
    assert statements.renew([(render.id, 1), (render.id, 2)], lease_seconds=HOUR) == {(render.id, 2)}
    render.refresh_from_db()
    assert (render.status, render.attempt, render.files.count(), api.credits()) == ("running", 2, 0, 99)
    assert statements.complete(now, files=[file_of(render)], pages=1, report={})
    assert api.get(f"/api/v1/renders/{render.id}").json()["status"] == "completed"


def test_without_the_fence_a_late_worker_would_end_anothers_attempt(render, monkeypatch):
    """The control: the same statement without the attempt hits the row that another worker owns by now."""
    statements.claim(render.id, lease_seconds=HOUR)
    expire(render)
    statements.claim(render.id, lease_seconds=HOUR)
    unfenced = statements._FAIL.replace("AND attempt = %(attempt)s", "")
    assert unfenced != statements._FAIL
    monkeypatch.setattr(statements, "_FAIL", unfenced)
    assert statements.fail(render.id, attempt=1, error="late", code="internal")
    render.refresh_from_db()
    assert (render.status, render.attempt, render.error) == ("failed", 2, "late")


def test_finished_render_is_final(api, render):
    taken = statements.claim(render.id, lease_seconds=HOUR)
    assert statements.complete(taken, files=[file_of(render)], pages=1, report={})
    before = Render.objects.filter(pk=render.pk).values().get()
    assert statements.claim(render.id, lease_seconds=HOUR) is None
    assert not statements.fail(render.id, attempt=1, error="No.", code="internal")
    assert not statements.give_back(taken, pause_seconds=0)
    assert not statements.complete(taken, files=[file_of(render)], pages=2, report={})
    assert statements.renew([(render.id, 1)], lease_seconds=HOUR) == set()
    assert Render.objects.filter(pk=render.pk).values().get() == before
    assert api.credits() == 99


def test_attempts_are_used_up_after_three(render):
    for attempt in (1, 2, 3):
        assert statements.claim(render.id, lease_seconds=HOUR).attempt == attempt
        expire(render)
    assert statements.claim(render.id, lease_seconds=HOUR) is None


def test_given_back_render_is_pending_again(render):
    taken = statements.claim(render.id, lease_seconds=HOUR)
    assert statements.give_back(taken, pause_seconds=0)
    render.refresh_from_db()
    assert (render.status, render.attempt, render.lease_expires_at) == ("pending", 1, None)
    assert statements.claim(render.id, lease_seconds=HOUR).attempt == 2


def test_message_of_a_failure_is_cut_at_500_characters(render):
    statements.claim(render.id, lease_seconds=HOUR)
    assert statements.fail(render.id, attempt=1, error="ü" * 600, code="template_error")
    render.refresh_from_db()
    assert render.error == "ü" * 500
