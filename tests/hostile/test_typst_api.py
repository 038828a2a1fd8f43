"""Hostile templates through the API, to an application of its own with short limits: 422, the credit back, no harm.

`tests/workers/test_hostile_templates.py` sends all of them to the engines; here is what a caller sees of it.
"""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import pytest
import redis
import requests

from renders.models import Render
from tests.conftest import Processes, is_ready, wait_until
from tests.hostile.application import PATIENT
from tests.hostile.corpus import LEAKS, cases
from tests.hostile.listening import Listener, listening
from tests.renders.faults import own_database

SECONDS, MEGABYTES = 10, 512
TOO_MUCH = {f"compilation timed out after {SECONDS} s", f"memory limit of {MEGABYTES} MB exceeded"}
"""Which of the two comes first depends on how fast the machine is."""
OWN_REDIS_DATABASE = 7
SENT = [name for name, case in cases().items() if case.api]


@dataclass(frozen=True)
class Application:
    """Web, worker and sweeper on a database and a Redis that no other test shares."""

    base: str
    worker: Popen
    redis_url: str

    def engine(self) -> dict:
        """What the worker last reported of its Typst engine."""
        name = f"automette:worker:{socket.gethostname()}:{self.worker.pid}"
        with redis.Redis.from_url(self.redis_url) as client:
            report = wait_until(lambda: client.get(name))
        return json.loads(report)["engines"]["typst"]

    def render(self, api, template_id: str, **more) -> requests.Response:
        return requests.post(
            f"{self.base}/api/v1/renders",
            json={"template_id": template_id, "async": False, **more},
            headers={"Authorization": f"Bearer {api.key}"},
            timeout=200,
        )


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def application(test_environment, tmp_path_factory) -> Iterator[Application]:
    url = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{OWN_REDIS_DATABASE}").geturl()
    limits = {"TYPST_SECONDS": str(SECONDS), "TYPST_MEMORY_MB": str(MEGABYTES)}
    with own_database() as database_url:  # where no sweeper but its own rings for what waits
        own = {"REDIS_URL": url, "DATABASE_URL": database_url}
        started = Processes(tmp_path_factory.mktemp("hostile-api"))
        try:
            base = started.web(**own, **PATIENT)
            worker = started.worker(**own, **PATIENT, **limits)
            started.sweeper(**own)
            wait_until(lambda: is_ready(base), 100)
            yield Application(base, worker, url)
        finally:
            started.stop()


def children_of(pid: int) -> list[int]:
    """Raises FileNotFoundError when the process itself is gone."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("name", SENT)
def test_hostile_template_fails_and_costs_nothing(api, application, listener, name):
    case = cases()[name]
    zygote = application.engine()["zygote_pid"]
    source = case.source.replace("PORT", str(listener.port))
    answer = application.render(api, api.template(source=source), format=case.format)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (422, "failed"), body
    if case.guard in {"time", "memory"}:
        assert body["error"] in TOO_MUCH
    else:
        assert case.accepts(body["error"], listener.port), body["error"]
    assert LEAKS.search(answer.text) is None
    assert Render.objects.get(pk=body["id"]).error_code == case.outcome
    assert api.credits() == 100
    assert application.worker.poll() is None
    assert wait_until(lambda: children_of(zygote))
    assert listener.heard == []


def test_afterwards_the_same_worker_renders(api, application, listener):
    """After all of the above: same processes, children of the engine alive, and good templates of the same team."""
    before = application.engine()["zygote_pid"]
    template_id = api.template()
    for _ in range(3):
        assert application.render(api, template_id).status_code == 200
    assert api.credits() == 97
    assert wait_until(lambda: children_of(before))
    engine = wait_until(lambda: (found := application.engine())["idle"] and not found["working"] and found)
    assert (engine["zygote_pid"], engine["running"], listener.heard) == (before, True, [])
    assert listener.hears()
