"""Counting in Redis: exact where there is one, nothing refused and little time lost where there is none."""

import math
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from automette.lib import rate_limits
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
def broker(settings):
    with own_broker() as broker:
        settings.REDIS_URL = broker.url
        yield broker


def passed(team: str, per_minute: int, tries: int) -> int:
    """Send so many requests at once; how many were let through."""
    through = 0
    for _ in range(tries):
        try:
            count_request(team, per_minute=per_minute)
        except RateLimitedError:
            continue
        through += 1
    return through


def refusal(team: str, per_minute: int) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as caught:
        count_request(team, per_minute=per_minute)
    return caught.value


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (6, 1), (12, 2), (60, 10), (120, 20)])
def test_ten_seconds_worth_may_come_at_once(team, per_minute, burst):
    assert passed(team, per_minute, burst) == burst
    assert refusal(team, per_minute).retry_after >= 1


def test_no_limit_counts_nothing(team):
    assert passed(team, 0, 50) == 50
    assert not redis.Redis.from_url(os.environ["REDIS_URL"]).exists(f"automette:requests:{team}")


def test_refusal_tells_the_limit_and_when_to_come_back(team):
    assert passed(team, 6, 1) == 1
    refused = refusal(team, 6)
    assert refused.message == "Too many requests: this team may send 6 per minute."
    assert refused.retry_after == 10


def test_whoever_waits_as_long_as_told_is_let_through_and_not_earlier(team):
    assert passed(team, 30, 5) == 5
    refused = refusal(team, 30)
    time.sleep(refused.retry_after - 1)
    assert passed(team, 30, 1) == 0
    time.sleep(1)
    count_request(team, per_minute=30)


def test_refused_requests_do_not_make_the_wait_longer(team):
    assert passed(team, 60, 200) == 10
    time.sleep(1)
    assert passed(team, 60, 5) == 1


def test_of_many_at_once_exactly_as_many_pass_as_may(team):
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: passed(team, 60, 10), range(8))) == 10


def test_teams_are_counted_apart(team):
    assert passed(team, 6, 3) == 1
    assert passed(new_id(), 6, 3) == 1


def test_a_clock_of_redis_that_was_set_back_keeps_nobody_out_for_long(team):
    count_request(team, per_minute=60)
    in_a_day = (time.time() + 86_400) * 1_000_000
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.set(f"automette:requests:{team}", f"{in_a_day:.0f}")
    assert refusal(team, 60).retry_after == 1


def test_what_is_kept_of_a_team_goes_once_it_is_silent(team):
    passed(team, 60, 10)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert 9_000 < client.pttl(f"automette:requests:{team}") <= 10_000


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


def test_a_call_that_raises_waits_no_longer(team):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), waiting_call(team, at_once=1, seconds=30):
            1 / 0  # noqa: B018


def test_calls_of_a_killed_process_are_forgotten_when_their_time_is_over(team):
    left_behind = math.ceil(0.5) + rate_limits._LEFT_BEHIND_SECONDS
    spare_redis().run(
        rate_limits._BEGIN, keys=(f"automette:waiting:{team}",), args=("of the killed", 1, left_behind - 4)
    )
    with pytest.raises(RateLimitedError), waiting_call(team, at_once=1, seconds=0.5):
        pass
    time.sleep(2.1)
    with waiting_call(team, at_once=1, seconds=0.5):
        pass


def test_without_redis_everything_passes_at_once(team, settings, caplog):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    begin = time.monotonic()
    assert passed(team, 1, 200) == 200
    with waiting_call(team, at_once=1, seconds=30), waiting_call(team, at_once=1, seconds=30):
        pass
    assert time.monotonic() - begin < PATIENCE_SECONDS + 0.5
    assert [record.getMessage() for record in caplog.records].count("limits_not_counted") <= 1


def test_a_hanging_redis_costs_the_first_request_its_patience_and_the_others_nothing(team, broker):
    count_request(team, per_minute=60)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert passed(team, 1, 1) == 1
        first = time.monotonic() - begin
        assert passed(team, 1, 500) == 500
        others = time.monotonic() - begin - first
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    assert PATIENCE_SECONDS * 0.9 < first < PATIENCE_SECONDS + 1
    assert others < PATIENCE_SECONDS


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
    together = threading.Barrier(20)

    def send(_):
        together.wait()
        return passed(team, 1, 1)

    try:
        begin = time.monotonic()
        with ThreadPoolExecutor(20) as threads:
            assert sum(threads.map(send, range(20))) == 20
        assert time.monotonic() - begin < 4 * PATIENCE_SECONDS + 1
    finally:
        os.kill(broker.pid, signal.SIGCONT)


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
    assert spare.run(script, keys=(), args=()) is None  # the pause is not over: nobody asks
    spare._next_try -= PAUSE_SECONDS
    assert spare.run(script, keys=(), args=()) == 7
    assert spare._away is False


def test_of_many_only_one_tries_again(broker):
    spare = SpareRedis(f"redis://127.0.0.1:{free_port()}/0")
    assert spare.run("return 1", keys=(), args=()) is None
    spare._next_try = 0
    assert [spare._worth_while() for _ in range(5)] == [True, False, False, False, False]
