"""429: its shape, its promise, and that it never comes from a Redis that is away."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from accounts.services import create_api_key
from automette.lib.rate_limits import waiting_call
from automette.lib.spare_redis import PATIENCE_SECONDS
from credits import limits
from credits.models import CreditAccount, Plan
from tests.conftest import wait_until
from tests.renders.faults import own_broker

SLOW = "#for i in range(12000) { for j in range(1000) { } }\nDone"


def refused_after(api, count: int):
    """Send requests until one is refused, at most so many; gives the refusal."""
    for number in range(count):
        answer = api.get("/api/v1/credits")
        if answer.status_code != 200:
            return number, answer
    pytest.fail("nothing was refused")


def test_answer_is_the_contracts_error_with_an_integer_retry_after(api, other_api, settings):
    settings.RATE_LIMIT_PER_MINUTE = 30
    number, answer = refused_after(api, 9)
    assert (number, answer.status_code, answer["Content-Type"]) == (5, 429, "application/json")
    assert answer.json() == {"error": "Too many requests: this team may send 30 per minute."}
    assert answer["Retry-After"] in {"1", "2"}
    assert other_api.get("/api/v1/credits").status_code == 200
    time.sleep(int(answer["Retry-After"]))
    assert api.get("/api/v1/credits").status_code == 200


def test_every_kind_of_request_counts_and_a_refused_one_does_nothing(api, settings, nothing_changes):
    template_id = api.template()
    settings.RATE_LIMIT_PER_MINUTE = 6
    assert refused_after(api, 4)[0] <= 1
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
    settings.RATE_LIMIT_PER_MINUTE = 30
    assert refused_after(api, 9)[0] == 5
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
    assert refused_after(api, 9)[0] == 5
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
        f"{base}/api/v1/credits", headers={"Authorization": f"Bearer {api.key}"}, timeout=20
    ).status_code


def test_a_killed_redis_refuses_nobody_and_counts_again_when_it_is_back(api, fragile):
    base, broker = fragile
    assert [ask(base, api) for _ in range(7)][-1] == 429
    broker.kill()
    begin = time.monotonic()
    try:
        assert {ask(base, api) for _ in range(50)} == {200}
    finally:
        broker.start()
    assert time.monotonic() - begin < 10
    wait_until(lambda: ask(base, api) == 429, 20)


def test_a_hanging_redis_refuses_nobody_and_holds_nobody_up(api, fragile):
    base, broker = fragile
    assert ask(base, api) == 200
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(10) as threads:
            assert set(threads.map(lambda _: ask(base, api), range(10))) == {200}
        begin = time.monotonic()
        assert {ask(base, api) for _ in range(40)} == {200}
        seconds = time.monotonic() - begin
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    print(f"40 requests one after the other with a hanging Redis: {seconds:.2f} s")
    assert seconds < 40 * PATIENCE_SECONDS / 2  # with each of them waiting it would be twice that


def test_a_sync_call_above_the_teams_limit_is_refused_and_nothing_is_charged(
    api, other_api, server, settings, nothing_changes
):
    settings.SYNC_WAITERS_PER_TEAM = 1
    template_id = api.template()
    with waiting_call(api.team.id, at_once=1, seconds=5), nothing_changes(api):
        status, body = api.render(template_id)
        assert (status, body) == (
            429,
            {
                "error": "Too many calls wait for their documents: this team may wait with 1 at once.",
                "detail": "Nothing was created or charged. Render with `async: true` to be called or to ask later.",
            },
        )
    with waiting_call(api.team.id, at_once=1, seconds=5):
        assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 202
        assert other_api.render(other_api.template())[0] == 200
    assert [api.render(template_id)[0] for _ in range(3)] == [200] * 3


def test_waiting_calls_are_counted_across_web_processes(api, start_web, server):
    bases = [start_web(SYNC_WAITERS_PER_TEAM="1", SYNC_WAIT_SECONDS="5") for _ in range(2)]
    body = {"template_id": api.template(SLOW), "async": False}

    def render(base: str) -> requests.Response:
        return requests.post(
            f"{base}/api/v1/renders", json=body, headers={"Authorization": f"Bearer {api.key}"}, timeout=20
        )

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(render, bases[0])
        wait_until(api.team.renders.exists)
        refused = render(bases[1])
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert first.result().status_code in {200, 202}
    assert api.team.renders.count() == 1
    wait_until(lambda: render(bases[1]).status_code != 429)


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
