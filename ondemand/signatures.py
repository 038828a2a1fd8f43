"""Signed URLs: how data becomes a URL, and which requests are one that we made.

Nothing is made canonical when a URL is fetched, and nothing is decoded before its signature is found right: a request
is compared as the bytes that it is. What a URL may look like is therefore known to the last character.
"""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final, NamedTuple

from automette.lib.errors import InvalidValueError
from automette.lib.json_text import write_json

MAX_URL_LENGTH: Final = 8000
KEY_BYTES: Final = 32
_QUERY: Final = re.compile(r"data=([A-Za-z0-9_-]+)&s=([A-Za-z0-9_-]{43})")
_SHOWN_OF_A_KEY: Final = 100


class SignedQuery(NamedTuple):
    """The two values of a query string that has the form of a signed one."""

    data: str
    signature: str


def canonical_data(data: dict[str, Any]) -> dict[str, str]:
    """Return the data with its keys in order; raises InvalidValueError unless every value is a string."""
    write_json(data, field="data")  # refuses what is no text
    for key, value in data.items():
        if not isinstance(value, str):
            raise InvalidValueError(f"data.{key[:_SHOWN_OF_A_KEY]}: Must be a string.")
    return dict(sorted(data.items()))


def data_parameter(data: dict[str, str]) -> str:
    """Return canonical data as it stands in a URL: base64url, without padding, of compact JSON in UTF-8."""
    return _base64url(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def data_digest(parameter: str) -> str:
    """Return what stands for the data in the database."""
    return sha256(parameter.encode()).hexdigest()


def sign(*, key: bytes, token: str, format: str, data: str) -> str:  # noqa: A002 (the API's word)
    """Return the 43 characters of the signature of a data parameter: all of HMAC-SHA256."""
    return _base64url(hmac.digest(key, f"{token}\n{format}\n{data}".encode(), "sha256"))


def is_signed(query: SignedQuery, *, key: bytes, token: str, format: str) -> bool:  # noqa: A002
    """Tell whether these are the very characters that `sign` gives, in a time that does not tell how many are."""
    return hmac.compare_digest(query.signature, sign(key=key, token=token, format=format, data=query.data))


def read_query(text: str) -> SignedQuery | None:
    """Take a raw query string apart; None when it is not exactly `data=...&s=...`."""
    match = _QUERY.fullmatch(text)
    return SignedQuery(*match.groups()) if match else None


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
