"""The form of an API key: `dg_`, 43 random base62 digits (256 bits), 6 digits of checksum.

The checksum lets a typo be refused without asking the database, and scanners find leaked keys by pattern.
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX: Final = "dg_"
_RANDOM_DIGITS: Final = 43
_CHECKSUM_DIGITS: Final = 6
_FORM: Final = re.compile(rf"dg_[0-9A-Za-z]{{{_RANDOM_DIGITS + _CHECKSUM_DIGITS}}}")


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECKSUM_DIGITS):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def new_key() -> str:
    """Return a fresh key; only its digest may be stored."""
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(_RANDOM_DIGITS))
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Tell whether the text can be a key at all."""
    return bool(_FORM.fullmatch(key)) and secrets.compare_digest(
        _checksum(key[:-_CHECKSUM_DIGITS]), key[-_CHECKSUM_DIGITS:]
    )


def digest(key: str) -> str:
    """Return SHA-256 in hex. A slow hash would protect guessable secrets; a key has 256 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()
