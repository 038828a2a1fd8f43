"""When a failed delivery is tried again."""

import random
import re
from typing import Final

from django.utils.http import parse_http_date_safe

DELAYS: Final = (5, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 5 * 3600, 10 * 3600)
"""Seconds from each failed attempt to the next: about 19 hours in all."""
MAX_FAILURES: Final = len(DELAYS) + 1
JITTER: Final = 0.1
_ASKED_AT_MOST: Final = 3600  # a receiver may ask for an hour even where the schedule says seconds
_MOST_DIGITS: Final = 9


def seconds_until_next(failures: int, *, retry_after: float | None = None) -> float | None:
    """Return the pause after so many failed attempts (at least one); None when no attempt is left.

    The jitter spreads out what failed together. `retry_after` is what the receiver asked for: it makes the pause
    longer, never shorter, up to an hour or twice the schedule's.
    """
    if failures >= MAX_FAILURES:
        return None
    delay = DELAYS[failures - 1]
    pause = delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (nothing secret)
    if retry_after is None:
        return pause
    return max(pause, min(retry_after, max(2 * delay, _ASKED_AT_MOST)))


def read_retry_after(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, a number or a date; None for anything else.

    `now` is the present time in seconds since 1970. What is absurdly long stays so: `seconds_until_next` has a limit.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text) if len(text) <= _MOST_DIGITS else float(10**_MOST_DIGITS)
    moment = parse_http_date_safe(text)
    return None if moment is None else max(0.0, moment - now)
