import json
import os

import pytest
import redis
import requests

from conftest import free_port

GOOD = {"database", "broker", "store", "engine_isolation"}


def readiness(base):
    answer = requests.get(f"{base}/readyz", timeout=20)
    body = answer.json()
    return answer.status_code, body["status"], {name for name, check in body["checks"].items() if not check["ok"]}


def test_livez_answers_without_asking_anybody(server):
    answer = requests.get(f"{server}/livez", timeout=5)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_is_200_and_names_every_part(server):
    answer = requests.get(f"{server}/readyz", timeout=20)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ready")
    assert set(body["checks"]) == GOOD | {"libreoffice"}
    assert all(body["checks"][name]["ok"] for name in GOOD)
    assert body["checks"]["engine_isolation"]["workers"] >= 1
    assert "seccomp" in body["checks"]["engine_isolation"]["active"]


def test_readyz_needs_no_key_and_shows_no_address(server):
    text = requests.get(f"{server}/readyz", timeout=20).text
    secrets = ("S3_SECRET_ACCESS_KEY", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "S3_ENDPOINT_URL")
    assert not [name for name in secrets if os.environ[name] in text]


@pytest.fixture
def broken_web(processes, wait_for_web):
    """A web process of its own, with these settings."""

    def start(**environment) -> str:
        return wait_for_web(processes.web(**environment))

    return start


def nowhere(scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{free_port()}"


def test_readyz_names_the_database(server, broken_web):
    base = broken_web(DATABASE_URL=f"{nowhere('postgresql')}/nothing")
    assert readiness(base) == (503, "not ready", {"database"})
    answer = requests.get(f"{base}/api/v1/credits", headers={"Authorization": f"Bearer {'x' * 10}"}, timeout=20)
    assert answer.status_code == 401


def test_without_a_database_the_api_says_503_and_when_to_come_back(api, broken_web):
    base = broken_web(DATABASE_URL=f"{nowhere('postgresql')}/nothing")
    answer = requests.get(f"{base}/api/v1/credits", headers={"Authorization": f"Bearer {api.key}"}, timeout=20)
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (
        503,
        {"error": "The database is not reachable. Try again."},
        "2",
    )


def test_readyz_names_the_store(server, broken_web):
    assert readiness(broken_web(S3_ENDPOINT_URL=nowhere("http"))) == (503, "not ready", {"store"})


def test_readyz_names_a_bucket_that_is_not_there(server, broken_web):
    assert readiness(broken_web(S3_BUCKET="no-such-bucket")) == (503, "not ready", {"store"})


def test_readyz_names_the_broker_and_the_workers_it_cannot_ask(broken_web):
    status, word, down = readiness(broken_web(REDIS_URL=f"{nowhere('redis')}/0"))
    assert (status, word, down - {"libreoffice"}) == (503, "not ready", {"broker", "engine_isolation"})


def test_readyz_says_that_no_worker_runs(broken_web):
    """Another Redis database is a deployment of its own, without workers."""
    base = broken_web(REDIS_URL=_other_redis_database())
    answer = requests.get(f"{base}/readyz", timeout=20)
    problem = "No worker has reported in the last 20 seconds. Is one running?"
    assert answer.status_code == 503
    assert answer.json()["checks"]["engine_isolation"] == {"ok": False, "problem": problem}
    assert answer.json()["checks"]["broker"] == {"ok": True}


def test_readyz_says_which_isolation_is_missing(broken_web):
    """What a worker without its confinement reports; it would only start with AUTOMETTE_UNSAFE_RENDERER."""
    url = _other_redis_database()
    engine = {"isolation": {"seccomp": True, "landlock": False}, "missing": ["landlock"]}
    with redis.Redis.from_url(url) as client:
        client.set("automette:worker:here:1", json.dumps({"engines": {"typst": engine}, "libreoffice": True}))
        answer = requests.get(f"{broken_web(REDIS_URL=url)}/readyz", timeout=20)
        client.delete("automette:worker:here:1")
    assert answer.status_code == 503
    assert answer.json()["checks"]["engine_isolation"] == {
        "ok": False,
        "workers": 1,
        "active": ["seccomp"],
        "problem": "Engines run with incomplete isolation; missing: landlock.",
    }


def _other_redis_database() -> str:
    return os.environ["REDIS_URL"].removesuffix("/0") + "/7"


def post(base, api, **more):
    return requests.post(
        f"{base}/api/v1/renders",
        json={"template_id": api.template(), **more},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=15,
    )


@pytest.mark.parametrize("how", [{}, {"async": False}], ids=["async", "sync"])
def test_without_redis_renders_are_accepted_and_nobody_waits_in_vain(api, broken_web, how):
    """The row is the truth; without Redis only the doorbell is missing. 30 s of waiting could not end well."""
    base = broken_web(REDIS_URL=f"{nowhere('redis')}/0")
    answers = [post(base, api, **how) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "pending")] * 2
    assert api.credits() == 98


def test_what_was_accepted_without_redis_is_rendered(api, server, broken_web, wait):
    """The sweeper rings for what no message was sent for."""
    base = broken_web(REDIS_URL=f"{nowhere('redis')}/0")
    assert wait(api, post(base, api).json()["id"])["status"] == "completed"
