"""429: its shape, its promise, and that it never comes from a Redis that is away."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import requests

from accounts.services import create_api_key
from automette.lib.rate_limits import waiting_call
from automette.lib.spare_redis import PAUSE_SECONDS
from credits import limits
from credits.models import CreditAccount, Plan
from renders import statements
from renders.models import Render
from tests.conftest import wait_until
from tests.renders.faults import own_broker, own_database

pytestmark = pytest.mark.usefixtures("patient_redis")  # each of them expects refusals


def refused_after(api, at_once: int, *, seconds: float):
    """Send requests until one is refused; gives the refusal, and how many passed.

    As many pass as may at once, and one more for every so many `seconds` that went by meanwhile: none, but on a
    machine that stands still.
    """
    begin = time.monotonic()
    for number in range(10 * at_once):
        answer = api.get("/api/v1/credits")
        if answer.status_code != 200:
            assert at_once <= number <= at_once + (time.monotonic() - begin) // seconds
            return number, answer
    pytest.fail("nothing was refused")


def test_answer_is_the_contracts_error_with_an_integer_retry_after(api, other_api, settings):
    settings.RATE_LIMIT_PER_MINUTE = 30
    _, answer = refused_after(api, 5, seconds=2)
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/json")
    assert answer.json() == {"error": "Too many requests: this team may send 30 per minute."}
    assert answer["Retry-After"] in {"1", "2"}
    assert other_api.get("/api/v1/credits").status_code == 200
    time.sleep(int(answer["Retry-After"]))
    assert api.get("/api/v1/credits").status_code == 200


def test_every_kind_of_request_counts_and_a_refused_one_does_nothing(api, settings, nothing_changes):
    template_id = api.template()
    settings.RATE_LIMIT_PER_MINUTE = 1  # the next one would pass after a minute
    refused_after(api, 1, seconds=60)
    with nothing_changes(api):
        for answer in (
            api.post("/api/v1/renders", {"template_id": template_id}),
            api.post("/api/v1/renders", {"template_id": template_id, "async": False}),
            api.post("/api/v1/templates", {"name": "A", "engine": "typst", "source": "Hi"}),
            api.get("/api/v1/templates"),
            api.send("PUT", "/api/v1/templates"),
            api.send("POST", "/api/v1/renders", b"{", headers={"X-Request-Id": "asked"}),
        ):
            assert answer.status_code == 429


def test_two_keys_of_a_team_share_its_limit(api, new_api, settings):
    _, second = create_api_key(team=api.team, actor="test")
    settings.RATE_LIMIT_PER_MINUTE = 1
    refused_after(api, 1, seconds=60)
    api.key = second
    assert api.get("/api/v1/credits").status_code == 429


def test_calls_without_a_valid_key_are_not_counted(api, settings):
    settings.RATE_LIMIT_PER_MINUTE = 6
    key, api.key = api.key, "dg_nonsense"
    assert [api.get("/api/v1/credits").status_code for _ in range(4)] == [401] * 4
    api.key = key
    assert api.get("/api/v1/credits").status_code == 200


def test_without_the_limit_nothing_is_refused(api, settings):
    settings.RATE_LIMIT_PER_MINUTE = 0
    assert {api.get("/api/v1/credits").status_code for _ in range(20)} == {200}


def test_a_teams_own_limit_goes_before_its_plans_and_that_before_the_servers(api, settings):
    settings.RATE_LIMIT_PER_MINUTE = 6000
    plan = Plan.objects.create(
        slug=f"p-{api.team.id}", name="P", monthly_credits=1, requests_per_minute=30, running_renders=3
    )
    account = CreditAccount.objects.filter(team=api.team)
    account.update(plan=plan)
    assert limits.limits_of(api.team.id) == (30, 3, settings.SYNC_WAITERS_PER_TEAM)
    refused_after(api, 5, seconds=2)
    account.update(own_requests_per_minute=600, own_sync_waiters=7)
    assert limits.limits_of(api.team.id) == (30, 3, settings.SYNC_WAITERS_PER_TEAM)  # for a minute
    limits._remembered.clear()
    assert limits.limits_of(api.team.id) == (600, 3, 7)


@pytest.fixture
def fragile(start_web):
    """A web process with a Redis that can be stopped: (address, broker)."""
    with own_broker() as broker:
        yield start_web(REDIS_URL=broker.url, RATE_LIMIT_PER_MINUTE="30"), broker


def ask(base: str, api) -> int:
    return requests.get(
        f"{base}/api/v1/credits", headers={"Authorization": f"Bearer {api.key}"}, timeout=60
    ).status_code


def test_a_killed_redis_refuses_nobody_and_counts_again_when_it_is_back(api, fragile):
    base, broker = fragile
    wait_until(lambda: ask(base, api) == 429, every=0)
    broker.kill()
    try:
        begin = time.monotonic()
        assert {ask(base, api) for _ in range(50)} == {200}
        assert time.monotonic() - begin < 40  # 50 times the pauses in which a client tries again would be minutes
    finally:
        broker.start()
    wait_until(lambda: ask(base, api) == 429, every=0)


def test_a_hanging_redis_refuses_nobody_and_holds_nobody_up(api, fragile):
    base, broker = fragile
    assert ask(base, api) == 200
    with broker.client() as client:
        before = callers(client)
        os.kill(broker.pid, signal.SIGSTOP)
        begin = time.monotonic()
        try:
            with ThreadPoolExecutor(10) as threads:
                assert set(threads.map(lambda _: ask(base, api), range(10))) == {200}
            assert {ask(base, api) for _ in range(40)} == {200}
        finally:
            seconds = time.monotonic() - begin
            os.kill(broker.pid, signal.SIGCONT)
        tried = callers(client) - before
    print(f"{tried} of 50 requests waited for a hanging Redis, in {seconds:.2f} s")
    assert 0 < tried <= 10 + 1 + seconds // PAUSE_SECONDS  # those that found out together, and one after each pause


def callers(client: redis.Redis) -> int:
    """How many connections Redis was asked for; after the first answer it has seen all that waited for it."""
    client.ping()
    return client.info("stats")["total_connections_received"]


def test_a_sync_call_above_the_teams_limit_is_refused_and_nothing_is_charged(
    api, other_api, server, settings, nothing_changes
):
    settings.SYNC_WAITERS_PER_TEAM = 1
    template_id = api.template()
    with waiting_call(api.team.id, at_once=1, seconds=100), nothing_changes(api):
        status, body = api.render(template_id)
        assert (status, body) == (
            429,
            {
                "error": "Too many calls wait for their documents: this team may wait with 1 at once.",
                "detail": "Nothing was created or charged. Render with `async: true` to be called or to ask later.",
            },
        )
    with waiting_call(api.team.id, at_once=1, seconds=100):
        assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 202
        assert other_api.render(other_api.template())[0] == 200
    assert [api.render(template_id)[0] for _ in range(3)] == [200] * 3


# As in `patient_redis`: the web process would let a call pass that it could not count in time.
PATIENT_WEB = (
    "from automette.lib import spare_redis; spare_redis.PATIENCE_SECONDS = 60.0; "
    "from gunicorn.app.wsgiapp import run; run()"
)


def end(render: Render) -> None:
    statements.claim(render.id, lease_seconds=3600)
    assert statements.fail(render.id, attempt=1, error="No.", code="template_error")


def test_waiting_calls_are_counted_across_web_processes(new_api, start_web):
    """On a database and a Redis of their own, where nobody renders: a call waits until the test ends its render."""
    with own_database() as url, own_broker() as broker, ThreadPoolExecutor(2) as threads:
        api = new_api()
        body = {"template_id": api.template(), "async": False}
        own = {"DATABASE_URL": url, "REDIS_URL": broker.url, "SYNC_WAITERS_PER_TEAM": "1", "SYNC_WAIT_SECONDS": "60"}
        bases = [start_web("-c", PATIENT_WEB, **own) for _ in range(2)]

        def render(base: str) -> requests.Response:
            headers = {"Authorization": f"Bearer {api.key}"}
            return requests.post(f"{base}/api/v1/renders", json=body, headers=headers, timeout=100)

        first = threads.submit(render, bases[0])
        waits = wait_until(api.team.renders.first)
        refused = render(bases[1])
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert (first.done(), api.team.renders.count()) == (False, 1)
        end(waits)
        assert first.result().status_code == 422
        second = threads.submit(render, bases[1])
        end(wait_until(api.team.renders.exclude(pk=waits.pk).first))
        assert second.result().status_code == 422


def test_every_operation_of_the_openapi_document_has_429(api):
    document = api.get("/api/v1/openapi.json", headers={"Accept": "application/json"}).json()
    operations = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    assert operations
    assert [(path, method) for path, method, one in operations if "429" not in one["responses"]] == []
