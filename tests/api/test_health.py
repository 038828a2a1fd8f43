import json
import os

import pytest
import redis
import requests

from tests.conftest import Processes, free_port, is_ready, wait_until

GOOD = {"database", "broker", "store", "engine_isolation"}


def readiness(base):
    """The status, its word, and the names of what is down. LibreOffice may be there or not."""
    answer = requests.get(f"{base}/readyz", timeout=60)
    body = answer.json()
    down = {name for name, check in body["checks"].items() if not check["ok"]}
    return answer.status_code, body["status"], down - {"libreoffice"}


def down_in_the_end(base, names):
    """Wait until exactly these are down: on a busy machine another one may answer too late for once."""
    wait_until(lambda: readiness(base) == (503, "not ready", names))
    return requests.get(f"{base}/readyz", timeout=60).json()["checks"]


def nowhere(scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def webs(test_environment, tmp_path_factory):
    """Three web processes beside the good one, each with something of its own that is wrong."""
    processes = Processes(tmp_path_factory.mktemp("health"))
    # Another Redis database is a deployment of its own, without workers.
    empty = os.environ["REDIS_URL"].removesuffix("/0") + "/7"
    bases = {
        "no database": processes.web(DATABASE_URL=f"{nowhere('postgresql')}/nothing"),
        "no redis": processes.web(
            REDIS_URL=f"{nowhere('redis')}/0", S3_ENDPOINT_URL=nowhere("http"), SYNC_WAIT_SECONDS="100"
        ),
        "no worker": processes.web(REDIS_URL=empty, S3_BUCKET="no-such-bucket"),
    }
    for base in bases.values():
        wait_until(lambda base=base: _lives(base))
    yield bases
    processes.stop()


def _lives(base: str) -> bool:
    try:
        return requests.get(f"{base}/livez", timeout=30).status_code == 200
    except requests.RequestException:
        return False


def test_livez_answers_without_asking_anybody(server, webs):
    for base in (server, *webs.values()):
        answer = requests.get(f"{base}/livez", timeout=60)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_is_200_and_names_every_part(server):
    wait_until(lambda: is_ready(server))
    answer = requests.get(f"{server}/readyz", timeout=60)
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ready")
    assert set(body["checks"]) == GOOD | {"libreoffice"}
    assert all(body["checks"][name]["ok"] for name in GOOD)
    assert body["checks"]["engine_isolation"]["workers"] >= 1
    assert "seccomp" in body["checks"]["engine_isolation"]["active"]


def test_readyz_needs_no_key_and_shows_no_address(server, webs):
    secrets = ("S3_SECRET_ACCESS_KEY", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "S3_ENDPOINT_URL")
    for base in (server, webs["no redis"], webs["no worker"]):
        text = requests.get(f"{base}/readyz", timeout=60).text
        assert not [name for name in secrets if os.environ[name] in text]
        assert "127.0.0.1" not in text


def test_readyz_names_the_database_and_not_its_address(server, webs):
    checks = down_in_the_end(webs["no database"], {"database"})
    assert checks["database"] == {"ok": False, "problem": "OperationalError"}


def test_readyz_names_the_store_the_broker_and_the_workers_it_cannot_ask(webs):
    down_in_the_end(webs["no redis"], {"store", "broker", "engine_isolation"})


def test_readyz_names_a_missing_bucket_and_says_that_no_worker_runs(webs):
    checks = down_in_the_end(webs["no worker"], {"store", "engine_isolation"})
    problem = "No worker has reported in the last 20 seconds. Is one running?"
    assert checks["engine_isolation"] == {"ok": False, "problem": problem}


def test_readyz_says_which_isolation_is_missing(webs):
    """What a worker without its confinement reports; it would only start with AUTOMETTE_UNSAFE_RENDERER."""
    engine = {"isolation": {"seccomp": True, "landlock": False}, "missing": ["read_outside"]}
    report = json.dumps({"engines": {"typst": engine}, "libreoffice": True})
    with redis.Redis.from_url(os.environ["REDIS_URL"].removesuffix("/0") + "/7") as client:
        client.set("automette:worker:here:1", report)
        checks = down_in_the_end(webs["no worker"], {"store"})
        client.delete("automette:worker:here:1")
    assert checks["engine_isolation"] == {
        "ok": True,
        "complete": False,
        "workers": 1,
        "active": ["seccomp"],
        "problem": "For trusted templates only; engine children could: read_outside.",
    }


def test_without_a_database_the_api_says_503_and_when_to_come_back(api, webs):
    answer = requests.get(
        f"{webs['no database']}/api/v1/credits", headers={"Authorization": f"Bearer {api.key}"}, timeout=60
    )
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (
        503,
        {"error": "The database is not reachable. Try again."},
        "2",
    )


def test_malformed_key_is_refused_without_a_database(webs):
    headers = {"Authorization": f"Bearer dg_{'x' * 49}"}
    assert requests.get(f"{webs['no database']}/api/v1/credits", headers=headers, timeout=60).status_code == 401


def post(base, api, **more):
    return requests.post(
        f"{base}/api/v1/renders",
        json={"template_id": api.template(), **more},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=50,
    )


@pytest.mark.parametrize("how", [{}, {"async": False}], ids=["async", "sync"])
def test_without_redis_renders_are_accepted_and_nobody_waits_in_vain(api, webs, how):
    """Only the doorbell is missing. The time-out of the request is half of what a caller would wait for a file."""
    answers = [post(webs["no redis"], api, **how) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "pending")] * 2
    assert api.credits() == 98


def test_what_was_accepted_without_redis_is_rendered(api, server, webs, wait):
    """The sweeper rings for what no message was sent for."""
    accepted = post(webs["no redis"], api).json()
    assert wait(api, accepted["id"])["status"] == "completed"
