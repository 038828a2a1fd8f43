"""Renders deleted under the hands of a worker: what it still brings is dropped, what it still stores is deleted."""

import datetime as dt
import os
import signal

import pytest
from django.db.models.functions import Now

from renders.models import ObjectDeletion, Render
from renders.tasks import delete_expired_files
from tests.conftest import wait_until
from tests.renders.faults import (
    Installation,
    frozen_engine,
    has_status,
    own_broker,
    own_database,
    row,
    store_gate,
    stored,
)

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


@pytest.fixture(scope="module")
def installation(own_rows, tmp_path_factory):
    """A sweeper and a worker, which reaches the store through a gate; this process reaches it directly."""
    with store_gate() as gate, own_broker() as broker:
        installation = Installation(
            tmp_path_factory.mktemp("retention"),
            own_rows,
            broker,
            LEASE_SECONDS="60",  # nobody is to be overtaken
            S3_ENDPOINT_URL=gate.url,
        )
        installation.gate = gate
        try:
            installation.sweeper()
            installation.worker()
            yield installation
        finally:
            gate.open()
            installation.stop()


@pytest.fixture
def asked(installation, api):
    """Ask for a render that the worker takes; gives its id."""

    def ask(**more) -> str:
        answer = api.post("/api/v1/renders", {"template_id": api.template(), **more})
        assert answer.status_code == 202, answer.content
        return answer.json()["id"]  # this process has another broker: it is the sweeper that rings, 5 s later

    return ask


def be_rung_for(render_id: str) -> None:
    Render.objects.filter(pk=render_id).update(ring_at=Now() - SECOND)


def delete(api, render_id: str) -> dict:
    answer = api.send("DELETE", f"/api/v1/renders/{render_id}")
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.parametrize("visibility", ["public", "secure"])
def test_worker_suspended_in_its_upload_leaves_no_object(installation, api, asked, visibility):
    worker, gate = installation.a_worker(), installation.gate
    gate.hold()
    render_id = asked(visibility=visibility)
    be_rung_for(render_id)
    wait_until(lambda: has_status(render_id, "running") and gate.held)  # its upload is under way, signed
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        (key,) = row(render_id).possible_keys
        assert delete(api, render_id)["status"] == "running"
        gate.open()
        wait_until(lambda: stored(key))  # in time for the store: only the row knows that it is not wanted
        ObjectDeletion.objects.update(delete_at=Now())
        delete_expired_files()
        assert stored(key) is None
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: f'"render_id": "{render_id}"' in worker.log.read_text())
    assert "result_superseded" in worker.log.read_text()
    render = row(render_id)
    assert (render.status, render.files.count(), stored(key), api.credits()) == ("failed", 0, None, 100)
    assert render.deleted_at is not None


def test_worker_that_renders_on_after_a_deletion_stores_nothing_that_stays(installation, api, asked):
    worker = installation.a_worker()
    before = asked()  # so that the worker keeps a child for this team
    be_rung_for(before)
    wait_until(lambda: has_status(before, "completed"))
    with frozen_engine(worker):
        render_id = asked()
        be_rung_for(render_id)
        wait_until(lambda: has_status(render_id, "running"))
        (key,) = row(render_id).possible_keys
        delete(api, render_id)
    wait_until(lambda: f'"render_id": "{render_id}"' in worker.log.read_text())
    ObjectDeletion.objects.update(delete_at=Now())
    delete_expired_files()
    assert (stored(key), row(render_id).status, api.credits()) == (None, "failed", 99)


def test_deleted_while_it_waited_it_is_never_taken(installation, api, asked):
    with installation.suspended_sweeper():  # who rings for what this process asks
        others = [asked() for _ in range(2)]
        render_id = asked()
        delete(api, render_id)
    for other in others:
        wait_until(lambda other=other: has_status(other, "completed"))
    render = row(render_id)
    assert (render.status, render.attempt, render.started_at) == ("failed", 0, None)
