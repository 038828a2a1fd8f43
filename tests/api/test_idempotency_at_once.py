"""Requests with one `Idempotency-Key` at the same time, and what is left when one of them breaks off."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction

from accounts import idempotency
from accounts.models import AuditEntry, IdempotentRequest
from templates_app.services import create_template
from tests.api.idempotent_sending import KEY, SENDERS, TEMPLATE, TEMPLATES, is_replay, send_asset, send_template
from tests.conftest import wait_until

pytestmark = pytest.mark.usefixtures("server")  # templates and fonts wait for a worker to look at them
STILL_ANSWERED = "The first request with this Idempotency-Key is still being answered. Try again in a second."


def at_once(work, count):
    start = threading.Barrier(count)

    def run(number):
        start.wait(60)
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def until_answered(send):
    """Repeat while told to try again.

    The embedded store refuses the same content that is uploaded twice at once, and on a slow machine the first may
    take longer than the others wait for it.
    """
    while (answer := send()).status_code == 503 or answer.json() == {"error": STILL_ANSWERED}:
        time.sleep(0.1)
    return answer


@pytest.mark.parametrize("name", SENDERS)
def test_of_many_at_once_one_creates_and_the_others_replay(api, name):
    send, status, _, rows = SENDERS[name]
    if name == "render":
        api.template()
    before = rows(api).count()
    answers = at_once(lambda _: until_answered(lambda: send(api)), 12)
    assert Counter(answer.status_code for answer in answers) == {status: 12}
    assert Counter(is_replay(answer) for answer in answers) == {False: 1, True: 11}
    assert len({answer.content for answer in answers}) == 1
    assert rows(api).count() == before + 1
    created = AuditEntry.objects.filter(team=api.team, subject=answers[0].json()["id"])
    assert created.count() == (0 if name == "render" else 1)


def test_of_two_bodies_at_once_with_one_key_one_wins(api):
    answers = at_once(lambda number: until_answered(lambda: send_template(api, source=f"Body {number % 2}")), 10)
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: 5}
    assert (len({a.content for a in answers if a.status_code == 201}), api.team.templates.count()) == (1, 1)


def test_first_that_takes_the_last_place_is_replayed_to_those_who_find_it_taken(api, settings):
    settings.MAX_ASSETS = 1
    answers = at_once(lambda _: until_answered(lambda: send_asset(api)), 8)
    assert Counter(answer.status_code for answer in answers) == {201: 8}
    assert Counter(is_replay(answer) for answer in answers) == {False: 1, True: 7}
    assert api.team.assets.count() == 1


def take(api, key=KEY):
    """Hold the key of a template request as one that is under way does, in the present transaction."""
    asked = idempotency.RequestKey(api.team.id, f"POST {TEMPLATES}", key, "0" * 64)
    with connection.cursor() as cursor:
        cursor.execute(idempotency._TAKE, idempotency.values_of(asked))


def test_who_waits_too_long_for_the_first_is_told_to_try_again(api):
    def hold():
        try:
            with transaction.atomic():
                take(api)
                held.set()
                done.wait(100)
                transaction.set_rollback(True)
        finally:
            connection.close()

    held, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as other:
        holder = other.submit(hold)
        assert held.wait(60)
        began = time.monotonic()
        answer = send_template(api)
        waited = time.monotonic() - began
        done.set()
        holder.result()
    assert (answer.status_code, answer.json()) == (409, {"error": STILL_ANSWERED})
    assert answer.headers["Retry-After"] == "1"
    assert 4 < waited < 50  # half as long as the first is held
    assert api.team.templates.count() == 0
    assert send_template(api).status_code == 201


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))")
        return cursor.fetchone()[0]


def test_first_that_is_rolled_back_leaves_the_key_to_the_next(api):
    def hold():
        try:
            with transaction.atomic():
                take(api)
                held.set()
                wait_until(somebody_waits_for_us)
                transaction.set_rollback(True)
        finally:
            connection.close()

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    answer = until_answered(lambda: send_template(api))
    holder.join()
    assert (answer.status_code, is_replay(answer), api.team.templates.count()) == (201, False, 1)


def test_nothing_remains_of_a_request_whose_answer_could_not_be_remembered(api, nothing_changes):
    """The crash between creating and answering: what was created goes with the transaction."""
    asked = idempotency.RequestKey(api.team.id, f"POST {TEMPLATES}", KEY, "0" * 64)

    def lose():
        with idempotency.answering(asked):
            template = create_template(team=api.team, actor="test", **TEMPLATE)
            assert api.team.templates.filter(pk=template.pk).exists()
            raise OperationalError("gone")

    with nothing_changes(api), pytest.raises(OperationalError, match="gone"):
        lose()
    assert not IdempotentRequest.objects.filter(team=api.team).exists()
    with idempotency.answering(asked) as request:
        create_template(team=api.team, actor="test", **TEMPLATE)
        request.remember(status=201, body="{}")
    assert idempotency.find_first(asked) == (None, 201, "{}")


def test_lock_timeout_does_not_outlive_taking_the_key(api):
    with transaction.atomic(), connection.cursor() as cursor:
        take(api)
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_services_outside_of_a_request_are_not_touched(api):
    create_template(team=api.team, actor="test", **TEMPLATE)
    assert not connection.in_atomic_block
    assert not IdempotentRequest.objects.filter(team=api.team).exists()
