"""Callers that wait for their documents hold a thread each, but no connection to the database."""

import os
import signal
import threading
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection

from tests.conftest import is_ready, wait_until
from tests.renders import patient_calls

OWN_REDIS_DATABASE = 12  # no other worker is to take what waits here
WAITERS = 60
POOL = 16


pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def application(processes):
    """A web process and a worker that the test may stop; PostgreSQL knows their connections by name."""
    own = {"REDIS_URL": urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{OWN_REDIS_DATABASE}").geturl()}
    limits = {"DATABASE_POOL_SIZE": str(POOL), "SYNC_WAITERS_PER_TEAM": "0", "SYNC_WAIT_SECONDS": "100"}
    base = processes.web(PGAPPNAME="waiting web", **limits, **own)
    worker = processes.worker(PGAPPNAME="waiting worker", **own)
    wait_until(lambda: is_ready(base), 100)
    return base, worker


def post(base: str, key: str, body: dict, number: int) -> int:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"caller-{number}"}
    return patient_calls.post(f"{base}/api/v1/renders", body=body, headers=headers).status_code


def test_waiting_calls_share_a_few_connections_and_get_their_documents(application, new_api):
    base, worker = application
    api = new_api(credits=WAITERS)
    headers = {"Authorization": f"Bearer {api.key}"}
    body = {"template_id": api.template(), "async": False}
    statuses = []

    def call(number):
        statuses.append(post(base, api.key, body, number))

    callers = [threading.Thread(target=call, args=[number]) for number in range(WAITERS)]
    worker.send_signal(signal.SIGSTOP)  # the documents take as long as we like, and no CPU
    try:
        for caller in callers:
            caller.start()
        wait_until(lambda: api.team.renders.count() == WAITERS)
        seen = []
        for _ in range(10):
            answer = requests.get(f"{base}/api/v1/templates", headers=headers, timeout=60)
            assert (answer.status_code, len(answer.json())) == (200, 1)
            seen.append(_connections())
        assert not statuses, "somebody did not wait"
        assert 1 <= max(state["open"] for state in seen) <= POOL
        assert max(state["in a transaction"] for state in seen) == 0
    finally:
        worker.send_signal(signal.SIGCONT)
        for caller in callers:
            caller.join()
    assert statuses == [200] * WAITERS


def _connections() -> dict[str, int]:
    statement = """
        SELECT count(*) AS open, count(*) FILTER (WHERE state LIKE 'idle in transaction%%') AS busy
        FROM pg_stat_activity WHERE application_name = %s
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, ["waiting web"])
        return dict(zip(("open", "in a transaction"), cursor.fetchone(), strict=True))
