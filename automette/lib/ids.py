"""Identifiers of resources: unguessable, roughly ordered by time, safe in URLs and file names."""

import secrets
import time
from typing import Final

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_LENGTH: Final = 25
_TIME_DIGITS: Final = 8  # 36**8 ms reaches the year 2059
_RANDOM_DIGITS: Final = 16  # 36**16 is 82 bits: public file names contain ids
_RANDOM_SPAN: Final = 36**_RANDOM_DIGITS


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def new_id() -> str:
    """Return a fresh id: `c`, 8 digits of milliseconds, 16 random digits, all base 36."""
    milliseconds = time.time_ns() // 1_000_000
    return "c" + _base36(milliseconds, _TIME_DIGITS) + _base36(secrets.randbelow(_RANDOM_SPAN), _RANDOM_DIGITS)
