"""Signed URLs whose document is not there yet, failed, was deleted, or lies in a store that has lost it."""

import pytest

from automette.lib.ids import new_id
from ondemand.models import SignedDocument
from renders.models import Render
from renders.statements import StoredFile
from templates_app.models import Template
from templates_app.services import add_version
from tests.ondemand.conftest import FOR_EVER, body_of, end
from tests.ondemand.refusals import is_refusal


def test_unfinished_is_waited_for(api, server, signer, fetch, settings):
    """The first visitor comes before the worker has begun."""
    settings.SYNC_WAIT_SECONDS = 100
    source = "#for i in range(3000) { for j in range(1000) { } }\nDone"
    signed = signer.sign(signer.template(source))
    answer = fetch(signed.path)
    assert (answer.status_code, body_of(answer)[:5]) == (200, b"%PDF-")
    assert answer.headers["Cache-Control"] == FOR_EVER


def test_unfinished_after_the_wait_is_503(signer, fetch, no_worker, settings):
    settings.SYNC_WAIT_SECONDS = 0.2
    signed = signer.sign(signer.template())
    assert is_refusal(fetch(signed.path), 503)
    assert fetch(signed.path, "HEAD").status_code == 503
    Render.objects.filter(pk=signed.render.pk).update(
        status="running", attempt=1, lease_expires_at=signed.render.ring_at
    )
    assert is_refusal(fetch(signed.path), 503)


def test_without_a_seat_it_is_503_at_once(signer, fetch, no_worker, settings):
    """With a seat this would take longer than the test may."""
    signed = signer.sign(signer.template())
    settings.SYNC_WAIT_SECONDS, settings.SYNC_WAITERS = 3600, 0
    assert is_refusal(fetch(signed.path), 503)
    settings.SYNC_WAITERS = 10
    end(signed.render)
    assert fetch(signed.path, "HEAD").status_code == 200


def test_revoked_while_waiting_is_404(api, signer, fetch, no_worker, monkeypatch):
    template_id = signer.template()
    signed = signer.sign(template_id)

    def revoke(*_, **__):
        end(signed.render)
        api.send("DELETE", f"/api/v1/templates/{template_id}/url_base")

    monkeypatch.setattr("ondemand.fetching.wait_for_end", revoke)
    assert is_refusal(fetch(signed.path), 404)


def test_failed_is_422_and_says_nothing_of_the_inside(signer, fetch, no_worker):
    signed = signer.sign(signer.template())
    end(signed.render, error="line 3: secret of the template")
    assert is_refusal(fetch(signed.path), 422)


def test_failed_after_a_completed_one_shows_that_for_a_minute(signer, fetch, no_worker):
    template_id = signer.template()
    first = signer.sign(template_id)
    end(first.render, content=StoredFile("pdf", f"secure/{first.render.id}-1.pdf", "application/pdf", 7, "1" * 64))
    add_version(template=Template.objects.get(pk=template_id), text="#panic()")
    second = signer.sign(template_id)
    end(second.render, error="panicked")
    answer = fetch(second.path, "HEAD")
    assert (answer.status_code, answer.headers["ETag"]) == (200, f'"{"1" * 64}"')
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    third = signer.sign(template_id)
    end(third.render)
    answer = fetch(third.path, "HEAD")
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (f'"{"0" * 64}"', FOR_EVER)


def test_new_version_is_waited_for_not_the_old_one_shown(signer, fetch, no_worker, settings):
    """What is shown once is kept for a year."""
    settings.SYNC_WAIT_SECONDS = 0.2
    template_id = signer.template()
    end(signer.sign(template_id).render)
    add_version(template=Template.objects.get(pk=template_id), text="Other")
    assert is_refusal(fetch(signer.sign(template_id).path), 503)


@pytest.mark.parametrize("state", ["pending", "completed", "with a previous one"])
def test_deleted_render_is_404_until_it_is_signed_anew(api, signer, fetch, no_worker, state):
    template_id = signer.template()
    signed = signer.sign(template_id)
    if state != "pending":
        end(signed.render)
    if state == "with a previous one":
        add_version(template=Template.objects.get(pk=template_id), text="Other")
        signed = signer.sign(template_id)
        end(signed.render)
    assert api.send("DELETE", f"/api/v1/renders/{signed.render.id}").status_code == 200
    assert is_refusal(fetch(signed.path), 404)
    end(signer.sign(template_id).render)
    assert fetch(signed.path, "HEAD").status_code == 200


def test_file_that_the_store_has_not_is_503(signer, fetch, no_worker):
    signed = signer.sign(signer.template())
    end(signed.render)  # nothing was stored
    assert is_refusal(fetch(signed.path), 503)


def test_visitor_rings_once_in_the_queue_of_those_who_wait(signer, fetch, no_worker, monkeypatch, settings):
    """Signed in bulk it lies in the background; looked at, it is wanted now."""
    settings.SYNC_WAIT_SECONDS = 0.1
    monkeypatch.setattr("ondemand.fetching._RING_EVERY_SECONDS", 3600)
    rung = []

    def note(_, *, queue, kwargs):
        rung.append((queue, kwargs))

    monkeypatch.setattr("renders.services.send_after_commit", note)
    monkeypatch.setattr("ondemand.fetching.send", note)
    signed = signer.sign(signer.template())
    for _ in range(3):
        assert fetch(signed.path).status_code == 503
    mine = {"render_id": signed.render.id}
    assert rung == [("async", mine), ("interactive", mine)]


def test_signing_is_told_as_a_job_of_its_own(api, signer, no_worker):
    signed = signer.sign(signer.template(), {"name": "Ada"})
    (job,) = api.get("/api/v1/jobs").json()["jobs"]
    assert (job["source"], job["render_count"]) == ("ondemand", 1)
    render = api.get(f"/api/v1/renders/{signed.render.id}").json()
    assert (render["data"], render["expires_at"], render["url"]) == ({"name": "Ada"}, None, None)


def test_row_of_another_data_is_never_shown(signer, fetch, no_worker):
    """A right signature for data of which no row is there: only by hand."""
    signed = signer.sign(signer.template())
    SignedDocument.objects.filter(render_id=signed.render.id).update(data_sha256=new_id())
    assert is_refusal(fetch(signed.path), 404)
