"""Many visitors come before the document is there: they wait as callers do, for one render, without connections."""

import os
import signal
import threading

import pytest
import requests

from tests.conftest import Processes, is_ready, wait_until
from tests.ondemand.conftest import Signer
from tests.ondemand.refusals import is_refusal
from tests.renders.faults import own_broker, own_database
from tests.renders.test_waiting import _connections as connections

pytestmark = pytest.mark.timeout(400)
VISITORS = 50
POOL = 8
PATIENT = {"timeout": 300}
# However busy the machine is, a seat is counted, and a connection to the database waited for.
PATIENT_WEB = """
from automette import settings
from automette.lib import spare_redis
settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"] = spare_redis.PATIENCE_SECONDS = 60.0
from gunicorn.app.wsgiapp import run
run()
"""


@pytest.fixture(scope="module")
def broker():
    with own_broker() as broker:
        yield broker


@pytest.fixture
def visitors_of(broker):
    """How many visitors of a team have a seat."""

    def count(team_id: str) -> int:
        with broker.client() as client:
            return client.zcard(f"automette:waiting:{team_id}:visitors")

    return count


@pytest.fixture(scope="module")
def application(database, test_environment, broker, tmp_path_factory):
    """A web process, and a worker that the test may stop; PostgreSQL knows the former's connections by name.

    No other sweeper sees their database: after five seconds it would ring for what waits, and another worker came.
    """
    started = Processes(tmp_path_factory.mktemp("visitors"))
    with own_database() as url:
        own = {"DATABASE_URL": url, "REDIS_URL": broker.url}
        limits = {"DATABASE_POOL_SIZE": str(POOL), "SYNC_WAIT_SECONDS": "300"}
        try:
            base = started.web("-c", PATIENT_WEB, PGAPPNAME="waiting web", **limits, **own)
            worker = started.worker(**own)
            wait_until(lambda: is_ready(base), 100)
            yield base, worker
        finally:
            started.stop()


@pytest.fixture
def remote(application, api) -> Signer:
    """Signs over the network, so that the messages go to this application's broker."""
    base, _ = application

    class Remote(Signer):
        def sign_here(self, template_id: str) -> str:
            headers = {"Authorization": f"Bearer {api.key}"}
            body = {"template_id": template_id, "data": {"name": "Ada"}}
            answer = requests.post(f"{base}/api/v1/sign", json=body, headers=headers, **PATIENT)
            assert answer.status_code == 200, answer.text
            return answer.json()["url"]

    return Remote(api)


class Stopped:
    """Meanwhile the worker takes nothing: documents take as long as the test likes, and no CPU."""

    def __init__(self, worker) -> None:
        self.worker = worker

    def __enter__(self):
        self.worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.worker.pid, os.WSTOPPED)  # until then one of its threads may go on

    def __exit__(self, *_):
        self.worker.send_signal(signal.SIGCONT)


def together(count: int, work) -> tuple[list, list[threading.Thread]]:
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    return results, threads


def test_fifty_first_visitors_share_one_render_and_few_connections(application, remote, api, visitors_of):
    base, worker = application
    template_id = remote.template()
    with Stopped(worker):
        url = remote.sign_here(template_id)
        answers, threads = together(VISITORS, lambda: requests.get(url, **PATIENT))
        wait_until(lambda: visitors_of(api.team.id) == VISITORS)
        seen = []
        for _ in range(10):
            assert requests.get(f"{base}/livez", timeout=60).status_code == 200
            seen.append(connections())
        assert answers == []
        assert max(state["open"] for state in seen) <= POOL
        assert max(state["in a transaction"] for state in seen) == 0
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * VISITORS
    assert len({answer.content for answer in answers}) == 1
    assert (api.team.renders.count(), api.credits()) == (1, 99)
    assert api.team.renders.get().attempt == 1


def test_fifty_who_sign_and_fifty_who_look_at_once(application, remote, api):
    """The whole way: each signs by itself and fetches what it got."""
    template_id = remote.template()
    answers, threads = together(VISITORS, lambda: requests.get(remote.sign_here(template_id), **PATIENT))
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * VISITORS
    assert len({answer.url for answer in answers}) == 1
    assert (api.team.renders.count(), api.credits()) == (1, 99)


def test_visitors_above_the_teams_seats_are_503_and_its_calls_are_not_shut_out(application, remote, api, visitors_of):
    """64 of its visitors wait; the 65th does not, and a call of the team itself does."""
    base, worker = application
    template_id = remote.template()
    with Stopped(worker):
        url = remote.sign_here(template_id)
        answers, threads = together(64, lambda: requests.get(url, **PATIENT))
        wait_until(lambda: visitors_of(api.team.id) == 64)
        assert is_refusal(requests.get(url, **PATIENT), 503)
        headers = {"Authorization": f"Bearer {api.key}"}
        body = {"template_id": template_id, "async": False}
        call = threading.Thread(
            target=lambda: answers.append(
                requests.post(f"{base}/api/v1/renders", json=body, headers=headers, **PATIENT)
            )
        )
        call.start()
        wait_until(lambda: api.team.renders.count() == 2)
    for thread in [*threads, call]:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 65


def test_visitor_goes_before_what_waits_in_the_background(application, remote, api, broker, visitors_of):
    """Forty documents were asked for before; what somebody looks at now is among the first."""
    base, worker = application
    template_id = remote.template()
    with Stopped(worker):
        headers = {"Authorization": f"Bearer {api.key}"}
        for _ in range(40):
            asked = {"json": {"template_id": template_id}, "headers": headers, **PATIENT}
            assert requests.post(f"{base}/api/v1/renders", **asked).status_code == 202
        url = remote.sign_here(template_id)
        signed_id = api.team.renders.get(job__source="ondemand").id
        answers, threads = together(1, lambda: requests.get(url, **PATIENT))
        wait_until(lambda: visitors_of(api.team.id) == 1)
        with broker.client() as client:
            wait_until(lambda: client.llen("interactive") >= 1)
    threads[0].join()
    assert answers[0].status_code == 200
    wait_until(lambda: not api.team.renders.filter(status__in=["pending", "running"]).exists(), 60)
    order = list(api.team.renders.order_by("started_at").values_list("id", flat=True))
    assert order.index(signed_id) < 20
