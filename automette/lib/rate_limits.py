"""What a team may ask for per minute and wait for at once, counted in Redis for all web processes together.

Requests are counted by GCRA, a leaky bucket that needs one number per team: the time at which everything that was let
through would have come at an even pace. One script reads, judges and writes it in one round trip; there are no
windows at whose edge twice the limit passes, and it knows to the microsecond when the next request fits, which is
what `Retry-After` promises. Without Redis nothing is refused.
"""

import contextlib
import math
import secrets
from collections.abc import Iterator
from typing import Final

from automette.lib.errors import RateLimitedError
from automette.lib.spare_redis import spare_redis

BURST_SECONDS: Final = 10
"""How many seconds' worth of requests may come at once after a silence."""

# Times in microseconds by Redis' own clock. The time is held within the burst, so that neither a clock that was set
# back nor a limit that was just raised keeps a team out for longer than the present limit would.
_REQUEST: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local even = tonumber(redis.call('GET', KEYS[1]) or 0)
even = math.min(math.max(even, now), now + burst) + interval
if even - now > burst then
    return math.ceil(even - now - burst)
end
redis.call('SET', KEYS[1], string.format('%.0f', even), 'PX', math.ceil((even - now) / 1000))
return 0
"""


def count_request(team_id: str, *, per_minute: int) -> None:
    """Count one request of a team; 0 per minute is no limit. Raises RateLimitedError."""
    if not per_minute:
        return
    interval = 60_000_000 / per_minute
    burst = max(interval, BURST_SECONDS * 1_000_000.0)
    wait = spare_redis().run(_REQUEST, keys=(f"automette:requests:{team_id}",), args=(interval, burst))
    if wait:
        raise RateLimitedError(
            f"Too many requests: this team may send {per_minute:,} per minute.",
            retry_after=math.ceil(wait / 1_000_000),
        )


# A sorted set of those who wait, by when they will have given up: what a killed process left behind runs out.
_BEGIN: Final = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
    return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
_END: Final = "return redis.call('ZREM', KEYS[1], ARGV[1])"
_LEFT_BEHIND_SECONDS: Final = 5


@contextlib.contextmanager
def waiting_call(team_id: str, *, at_once: int, seconds: float) -> Iterator[None]:
    """Let the block be one of the calls with which a team waits, for at most `seconds`; 0 at once is no limit.

    Raises RateLimitedError before the block when as many wait already.
    """
    if not at_once:
        yield
        return
    redis, keys, name = spare_redis(), (f"automette:waiting:{team_id}",), secrets.token_hex(8)
    begun = redis.run(_BEGIN, keys=keys, args=(name, at_once, math.ceil(seconds) + _LEFT_BEHIND_SECONDS))
    if begun == 0:
        raise RateLimitedError(
            f"Too many calls wait for their documents: this team may wait with {at_once:,} at once.",
            detail="Nothing was created or charged. Render with `async: true` to be called or to ask later.",
            retry_after=1,
        )
    try:
        yield
    finally:
        if begun:
            redis.run(_END, keys=keys, args=(name,))
