"""One Idempotency-Key, one render and one credit: however many requests, whatever dies after the commit."""

import contextlib
import json
import os
import signal
import socket
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection

from accounts.idempotency import RequestKey
from automette.lib.ids import new_id
from credits.ledger_check import find_mismatches
from credits.models import LedgerEntry
from renders import statements
from renders.models import Render
from tests.conftest import wait_until
from tests.renders import patient_calls
from tests.renders.faults import own_broker, own_database, store_gate

PATH = "/api/v1/renders"
SLOW = "#for i in range(12000) { for j in range(500) { } }\nDone"


def send(base, api, key, body):
    headers = {"Authorization": f"Bearer {api.key}", **({"Idempotency-Key": key} if key else {})}
    return patient_calls.post(f"{base}{PATH}", body=body, headers=headers)


def at_once(work, count):
    """Run the work on as many threads, which start together; return what each returned."""
    start = threading.Barrier(count)

    def run(number):
        start.wait(100)
        try:
            return work(number)
        finally:
            connection.close()  # back to the pool

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def made(api) -> tuple[int, int, int]:
    """Jobs, renders and charges of a team."""
    charges = LedgerEntry.objects.filter(team=api.team, kind="charge").count()
    return api.team.jobs.count(), api.team.renders.count(), charges


@pytest.fixture
def start_web(processes):
    """Start a web process with these settings; return its address."""

    def start(**environment) -> str:
        base = processes.web(**environment)

        def lives():
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{base}/livez", timeout=5).status_code == 200

        wait_until(lives, 100)
        return base

    return start


def test_100_requests_with_one_key_are_one_job_and_one_credit(api, server):
    body, key = {"template_id": api.template(), "data": {"b": 1.0, "a": ["ö"]}}, str(uuid.uuid4())
    answers = at_once(lambda _: send(server, api, key, body), 100)
    assert Counter(answer.status_code for answer in answers) == {202: 100}
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 99}
    assert len({answer.content for answer in answers}) == 1
    assert (answers[0].json()["status"], answers[0].json()["url"]) == ("pending", None)
    assert (made(api), api.credits()) == ((1, 1, 1), 99)
    assert find_mismatches(team_id=api.team.id) == []


def test_control_100_requests_without_a_key_are_100_jobs(new_api, server):
    api = new_api(credits=100)
    body = {"template_id": api.template()}
    answers = at_once(lambda _: send(server, api, None, body), 100)
    assert Counter(answer.status_code for answer in answers) == {202: 100}
    assert (made(api), api.credits()) == ((100, 100, 100), 0)


def test_100_requests_with_a_key_each_are_paid_one_by_one(new_api, server):
    api = new_api(credits=60)
    body = {"template_id": api.template()}
    answers = at_once(lambda number: send(server, api, f"request-{number}", body), 100)
    assert Counter(answer.status_code for answer in answers) == {202: 60, 402: 40}
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 100}
    assert (made(api), api.credits()) == ((60, 60, 60), 0)


def test_last_credit_pays_for_every_repeat(new_api, server):
    api = new_api(credits=1)
    body = {"template_id": api.template()}
    answers = at_once(lambda _: send(server, api, "last-credit", body), 50)
    assert Counter(answer.status_code for answer in answers) == {202: 50}
    assert (made(api), api.credits()) == ((1, 1, 1), 0)


def test_waiting_requests_with_one_key_join_the_render_that_runs(api, server):
    body = {"template_id": api.template(source=SLOW), "async": False}
    answers = at_once(lambda _: send(server, api, "one-that-waits", body), 40)
    assert Counter(answer.status_code for answer in answers) == {200: 40}
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 39}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["status"] == "completed"
    assert (made(api), api.credits()) == ((1, 1, 1), 99)


def test_waiting_requests_all_hear_that_it_failed(api, server):
    body = {"template_id": api.template(source="#panic()"), "async": False}
    answers = at_once(lambda _: send(server, api, "one-that-fails", body), 10)
    assert Counter(answer.status_code for answer in answers) == {422: 10}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["status"] == "failed"
    assert (made(api), api.credits()) == ((1, 1, 1), 100)


def test_repeat_joins_only_for_as_long_as_a_first_call_waits(new_api, start_web):
    with own_database() as url:  # no sweeper looks there
        api = new_api()
        # nor does a worker hear of it
        base = start_web(SYNC_WAIT_SECONDS="0.5", REDIS_URL="redis://127.0.0.1:1", DATABASE_URL=url)
        body = {"template_id": api.template(), "async": False}
        first, second = send(base, api, "never-done", body), send(base, api, "never-done", body)
        assert (first.status_code, first.json()["status"]) == (202, "pending")
        assert (second.status_code, second.content) == (202, first.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert second.elapsed.total_seconds() >= 0.5
        assert made(api) == (1, 1, 1)


def test_client_that_was_cut_off_gets_the_first_render(api, server):
    body, key = json.dumps({"template_id": api.template()}).encode(), "cut-off-before-the-answer"
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    url = urlsplit(server)
    with socket.create_connection((url.hostname, url.port)) as client:
        client.sendall(head.encode() + body)
        wait_until(api.team.renders.exists)
    answer = send(server, api, key, json.loads(body))
    assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (202, "true")
    assert answer.json()["id"] == api.team.renders.get().id
    assert made(api) == (1, 1, 1)


def test_web_process_killed_between_commit_and_answer(api, start_web, processes):
    """The broker takes the connection and never answers, so the process is killed while it publishes: committed.

    Should it have given up on the broker before that, its answer gets lost: it does not come further than the gate.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as threads:
        base = start_web(REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}")
        body = {"template_id": api.template()}
        with store_gate(base) as gate:
            gate.hold_answers()
            client = threads.submit(send, gate.url, api, "killed-web-process", body)
            wait_until(api.team.renders.exists)
            web = processes.running[-1]
            os.killpg(web.pid, signal.SIGKILL)
            web.wait()
            gate.lose_answers()
            with pytest.raises(requests.ConnectionError):
                client.result(100)
    first = api.team.renders.get()
    answer = send(start_web(), api, "killed-web-process", body)
    assert (answer.status_code, answer.json()["id"]) == (202, first.id)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert made(api) == (1, 1, 1)


def test_keys_survive_a_redis_that_forgets_everything(api, start_web):
    with own_broker() as broker:
        base = start_web(REDIS_URL=broker.url)
        body = {"template_id": api.template()}
        first = send(base, api, "redis-restart", body)
        broker.kill()
        while_away = send(base, api, "redis-restart", body)
        broker.start()
        after = send(base, api, "redis-restart", body)
    assert [answer.status_code for answer in (first, while_away, after)] == [202] * 3
    assert {answer.content for answer in (while_away, after)} == {first.content}
    assert made(api) == (1, 1, 1)


def pending(api, template_id) -> Render:
    template = api.team.templates.get(pk=template_id)
    return Render(
        id=new_id(),
        team=api.team,
        job_id=new_id(),
        template=template,
        template_version=template.current_version,
        template_name=template.name,
        engine=template.engine,
        format="pdf",
        visibility="public",
        data="{}",
        filename="x.pdf",
        queue="nobody",
    )


def test_statement_itself_refuses_a_key_that_is_taken(api):
    """Without the look-up before it: the unique row decides, in the transaction that charges."""
    template_id = api.template()
    key = RequestKey(api.team.id, f"POST {PATH}", "taken-in-the-statement", "f" * 64)
    accepted = at_once(
        lambda _: statements.accept(pending(api, template_id), source="api", actor="test", key=key), 12
    )
    assert Counter(accepted) == {True: 1, False: 11}
    assert made(api) == (1, 1, 1)


def test_control_statement_without_the_key_accepts_all(api):
    template_id = api.template()
    accepted = at_once(lambda _: statements.accept(pending(api, template_id), source="api", actor="test"), 12)
    assert Counter(accepted) == {True: 12}
    assert made(api) == (12, 12, 12)


def test_key_is_not_remembered_for_a_render_that_could_not_be_paid(new_api):
    api = new_api(credits=0)
    key = RequestKey(api.team.id, f"POST {PATH}", "not-to-be-paid", "f" * 64)
    assert not statements.accept(pending(api, api.template()), source="api", actor="test", key=key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_idempotentrequest WHERE team_id = %s", [api.team.id])
        assert cursor.fetchone() == (0,)
