import contextlib

import pytest
import requests

from automette.lib import spare_redis
from tests.conftest import wait_until
from tests.renders.faults import Installation, own_broker, own_database


@pytest.fixture
def wait():
    """Wait for the end of a render and return it as the API tells it."""

    def until_finished(api, render_id: str) -> dict:
        def finished():
            render = api.get(f"/api/v1/renders/{render_id}").json()
            return render if render["status"] in {"completed", "failed"} else None

        return wait_until(finished, 60)

    return until_finished


@pytest.fixture
def patient_redis(monkeypatch):
    """Let the limits be counted however slow Redis is: else it lets pass whom it keeps waiting a quarter of a second.

    For whoever expects a refusal. A failure of an earlier test is forgotten as well.
    """
    monkeypatch.setattr(spare_redis, "PATIENCE_SECONDS", 60.0)
    spare_redis._at.cache_clear()
    yield
    spare_redis._at.cache_clear()


@pytest.fixture
def start_web(processes):
    """Start a web process with these settings, wait until it answers, and return its address."""

    def start(*program: str, **environment) -> str:
        base = processes.web(*program, **environment)

        def lives() -> bool:
            try:
                return requests.get(f"{base}/livez", timeout=30).status_code == 200
            except requests.RequestException:
                return False

        wait_until(lives)
        return base

    return start


@pytest.fixture
def without_a_worker(database, test_environment, tmp_path):
    """Start a web process with these settings on a database and a Redis of its own; the test starts the worker."""
    with own_database() as url, own_broker() as broker, contextlib.ExitStack() as running:

        def start(**environment: str) -> Installation:
            installation = Installation(tmp_path, url, broker, **environment)
            running.callback(installation.stop)
            installation.web()
            return installation

        yield start
