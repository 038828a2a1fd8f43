"""Counting in Redis: exact where there is one, nothing refused and little time lost where there is none."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from automette.lib import rate_limits
from automette.lib import spare_redis as module
from automette.lib.errors import RateLimitedError
from automette.lib.ids import new_id
from automette.lib.rate_limits import count_request, waiting_call
from automette.lib.spare_redis import PATIENCE_SECONDS, PAUSE_SECONDS, SpareRedis, spare_redis
from tests.conftest import free_port
from tests.renders.faults import own_broker


@pytest.fixture
def team() -> str:
    return new_id()


@pytest.fixture
def patient(monkeypatch):
    """Let Redis take its time to answer: to whoever it keeps waiting for a quarter of a second, nothing is refused.

    For whoever expects to be counted. What failed in a test before is forgotten.
    """
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60.0)
    module._at.cache_clear()
    yield
    module._at.cache_clear()


@pytest.fixture
def broker(settings):
    with own_broker() as broker:
        settings.REDIS_URL = broker.url
        yield broker


def passed(team: str, per_minute: int, tries: int) -> int:
    """Send so many requests at once; how many were let through."""
    waits = []
    for _ in range(tries):
        try:
            count_request(team, per_minute=per_minute)
        except RateLimitedError as refused:
            waits.append(refused.retry_after)
    assert min(waits, default=1) >= 1
    return tries - len(waits)


def assert_as_many_pass(at_once: int, per_minute: int, send: Callable[[], int]) -> None:
    """So many, and one more for each interval that goes by meanwhile: none, but where the machine stands still."""
    begin = time.monotonic()
    through = send()
    assert at_once <= through <= at_once + (time.monotonic() - begin) * per_minute / 60


def later(team: str, seconds: int) -> None:
    """Let this time go by for the team: what is kept of it is how far ahead of the clock it is."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.incrby(f"automette:requests:{team}", -seconds * 1_000_000)


def refusal(team: str, per_minute: int) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        count_request(team, per_minute=per_minute)
    return caught.value


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (6, 1), (12, 2), (60, 10), (120, 20)])
def test_ten_seconds_worth_may_come_at_once(team, per_minute, burst):
    assert_as_many_pass(burst, per_minute, lambda: passed(team, per_minute, burst + 5))


def test_no_limit_counts_nothing(team):
    assert passed(team, 0, 50) == 50
    assert not redis.Redis.from_url(os.environ["REDIS_URL"]).exists(f"automette:requests:{team}")


# From here on mostly one request per minute: the next one passes after a time in which no machine stands still.


@pytest.mark.usefixtures("patient")
def test_refusal_tells_the_limit_and_when_to_come_back(team):
    begin = time.monotonic()
    assert passed(team, 1, 1) == 1
    refused = refusal(team, 1)
    assert refused.message == "Too many requests: this team may send 1 per minute."
    assert 60 - (time.monotonic() - begin) <= refused.retry_after <= 60


@pytest.mark.usefixtures("patient")
def test_whoever_waits_as_long_as_told_is_let_through_and_not_earlier(team):
    assert passed(team, 1, 1) == 1
    refused = refusal(team, 1)
    later(team, refused.retry_after - 30)
    assert passed(team, 1, 1) == 0
    later(team, 30)
    count_request(team, per_minute=1)


@pytest.mark.usefixtures("patient")
def test_time_goes_by_as_redis_has_it(team):
    """The control of `later`: real seconds do the same."""
    assert_as_many_pass(20, 120, lambda: passed(team, 120, 25))
    time.sleep(1.1)
    assert_as_many_pass(2, 120, lambda: passed(team, 120, 2))


@pytest.mark.usefixtures("patient")
def test_refused_requests_do_not_make_the_wait_longer(team):
    assert passed(team, 1, 200) == 1
    later(team, 60)
    assert passed(team, 1, 5) == 1


@pytest.mark.usefixtures("patient")
def test_of_many_at_once_exactly_as_many_pass_as_may(team):
    with ThreadPoolExecutor(8) as threads:
        assert_as_many_pass(10, 60, lambda: sum(threads.map(lambda _: passed(team, 60, 10), range(8))))


@pytest.mark.usefixtures("patient")
def test_teams_are_counted_apart(team):
    assert passed(team, 1, 3) == 1
    assert passed(new_id(), 1, 3) == 1


@pytest.mark.usefixtures("patient")
def test_a_clock_of_redis_that_was_set_back_keeps_nobody_out_for_long(team):
    count_request(team, per_minute=60)
    in_a_day = (time.time() + 86_400) * 1_000_000
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.set(f"automette:requests:{team}", f"{in_a_day:.0f}")
    assert refusal(team, 60).retry_after == 1


@pytest.mark.usefixtures("patient")
def test_what_is_kept_of_a_team_goes_once_it_is_silent(team):
    begin = time.monotonic()
    passed(team, 60, 10)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        left = client.pttl(f"automette:requests:{team}")
    assert 9_999 - 1000 * (time.monotonic() - begin) <= left <= 10_000


@pytest.mark.usefixtures("patient")
def test_one_call_more_than_may_wait_is_refused_before_it_begins(team):
    begun = []
    with waiting_call(team, at_once=2, seconds=30), waiting_call(team, at_once=2, seconds=30):
        with pytest.raises(RateLimitedError) as caught, waiting_call(team, at_once=2, seconds=30):
            begun.append(True)
        with waiting_call(new_id(), at_once=2, seconds=30):
            pass
    assert caught.value.message == "Too many calls wait for their documents: this team may wait with 2 at once."
    assert (begun, caught.value.retry_after) == ([], 1)
    with waiting_call(team, at_once=1, seconds=30):
        pass


@pytest.mark.usefixtures("patient")
def test_a_call_that_raises_waits_no_longer(team):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), waiting_call(team, at_once=1, seconds=30):
            1 / 0  # noqa: B018


@pytest.mark.usefixtures("patient")
def test_calls_of_a_killed_process_are_forgotten_when_their_time_is_over(team):
    key, left_behind = f"automette:waiting:{team}", math.ceil(99.5) + rate_limits._LEFT_BEHIND_SECONDS
    spare_redis().run(rate_limits._BEGIN, keys=(key,), args=("of the killed", 1, left_behind))
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert left_behind - 60 < client.ttl(key) <= left_behind
        with pytest.raises(RateLimitedError), waiting_call(team, at_once=1, seconds=99.5):
            pass
        client.zincrby(key, -left_behind, "of the killed")  # its time goes by
        with waiting_call(team, at_once=1, seconds=99.5):
            assert client.zcard(key) == 1


def test_without_redis_everything_passes_at_once(team, settings, caplog, monkeypatch):
    """One request tries, and one more after each pause."""
    tried = []
    connect = redis.Connection.connect
    monkeypatch.setattr(redis.Connection, "connect", lambda self: tried.append(1) or connect(self))
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    begin = time.monotonic()
    assert passed(team, 1, 200) == 200
    with waiting_call(team, at_once=1, seconds=30), waiting_call(team, at_once=1, seconds=30):
        pass
    assert 1 <= len(tried) <= 1 + (time.monotonic() - begin) // PAUSE_SECONDS
    assert [record.getMessage() for record in caplog.records].count("limits_not_counted") <= 1


def test_a_hanging_redis_costs_the_first_request_its_patience_and_the_others_nothing(team, broker):
    with broker.client() as client:
        count_request(team, per_minute=60)
        before = callers(client)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            assert passed(team, 1, 1) == 1
            first = time.monotonic() - begin
            assert passed(team, 1, 500) == 500
            all_of_them = time.monotonic() - begin
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        tried = callers(client) - before
    assert PATIENCE_SECONDS * 0.9 < first < 40 * PATIENCE_SECONDS
    assert tried <= 1 + all_of_them // PAUSE_SECONDS  # the others did not wait: they did not even ask


def callers(client: redis.Redis) -> int:
    """How many connections Redis was asked for; after the first answer it has seen all that waited for it."""
    client.ping()
    return client.info("stats")["total_connections_received"]


def test_without_the_breaker_every_request_would_lose_its_patience(team, broker):
    spare = SpareRedis(broker.url)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        for _ in range(4):
            spare._away = False
            assert spare.run("return 1", keys=(), args=()) is None
        assert time.monotonic() - begin > 4 * PATIENCE_SECONDS * 0.9
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_many_requests_that_meet_a_hanging_redis_lose_their_patience_together(team, broker):
    count_request(team, per_minute=60)
    os.kill(broker.pid, signal.SIGSTOP)
    together = threading.Barrier(80)

    def send(_):
        together.wait()
        return passed(team, 1, 1)

    try:
        begin = time.monotonic()
        with ThreadPoolExecutor(80) as threads:
            assert sum(threads.map(send, range(80))) == 80
        assert time.monotonic() - begin < 40 * PATIENCE_SECONDS  # one after the other it would be twice that
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@pytest.mark.usefixtures("patient")
def test_while_redis_is_away_one_request_tries_in_each_pause_and_counts_again_when_it_is_back(team, broker):
    spare = SpareRedis(broker.url)
    script = "return 7"
    assert spare.run(script, keys=(), args=()) == 7
    broker.kill()
    try:
        assert spare.run(script, keys=(), args=()) is None
        assert spare._away is True
    finally:
        broker.start()
    spare._next_try += 3600  # however long the start took, the pause is not over
    assert spare.run(script, keys=(), args=()) is None  # nobody asks
    spare._next_try -= 3600 + PAUSE_SECONDS
    assert spare.run(script, keys=(), args=()) == 7
    assert spare._away is False


def test_of_many_only_one_tries_again(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 3600.0)
    spare = SpareRedis(f"redis://127.0.0.1:{free_port()}/0")
    assert spare.run("return 1", keys=(), args=()) is None
    spare._next_try = 0
    assert [spare._worth_while() for _ in range(5)] == [True, False, False, False, False]
