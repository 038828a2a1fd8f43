"""Secrets that must be read again, kept so that the database alone does not tell them: AES-256-GCM.

What is kept reads `{key id}:{base64url of nonce and ciphertext}`. The id of the row is authenticated with it, so that
what was copied from another row cannot be read there. Keys come from ENCRYPTION_KEYS, and one is derived from
SECRET_KEY: it encrypts while there is no other, and goes on reading what it encrypted once there is one.
"""

import os
import re
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

DERIVED_KEY_ID: Final = "s1"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_ID: Final = re.compile(r"[a-z0-9_-]{1,20}")


class DecryptionError(Exception):
    """A secret cannot be read here; the message says why, to the operator."""


def read_keys(pairs: Iterable[str]) -> dict[str, bytes]:
    """Return keys by their ids, in order, from texts like `2026:{base64 of 32 bytes}`; raises ValueError."""
    keys: dict[str, bytes] = {}
    for pair in pairs:
        key_id, _, text = pair.strip().partition(":")
        if not _KEY_ID.fullmatch(key_id):
            raise ValueError("an id has 1 to 20 characters of a-z, 0-9, _ and -, and a colon follows it")
        if key_id == DERIVED_KEY_ID or key_id in keys:
            raise ValueError(f"the id {key_id} is taken")
        try:
            key = b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError(f"the key {key_id} is not the base64 of {_KEY_BYTES} bytes")
        keys[key_id] = key
    return keys


def encrypt(text: str, row_id: str) -> str:
    """Return what to keep in the row with this id; another time it is another text."""
    key_id = newest_key_id()
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(_keys()[key_id]).encrypt(nonce, text.encode(), row_id.encode())
    return f"{key_id}:{urlsafe_b64encode(sealed).decode()}"


def decrypt(token: str, row_id: str) -> str:
    """Return the text that was encrypted for this row; raises DecryptionError."""
    key_id, _, encoded = token.partition(":")
    key = _keys().get(key_id)
    if key is None:
        raise DecryptionError(
            f"The encryption key {key_id[:20]!r} is not known here. "
            "Put it back into ENCRYPTION_KEYS, after the first."
        )
    try:
        sealed = urlsafe_b64decode(encoded)
    except ValueError:
        sealed = b""
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES or urlsafe_b64encode(sealed).decode() != encoded:
        raise DecryptionError("This is not the form of an encrypted secret.")
    try:
        text = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row_id.encode())
    except InvalidTag as error:
        raise DecryptionError(
            f"The secret does not fit the encryption key {key_id}: it was changed, belongs to another row, "
            "or the key is not what it was."
        ) from error
    return text.decode()


def newest_key_id() -> str:
    """Return the id of the key that encrypts now."""
    return next(iter(_keys()))


def _keys() -> Mapping[str, bytes]:
    """Return the keys by their ids; the first one encrypts."""
    return {**settings.ENCRYPTION_KEYS, DERIVED_KEY_ID: _derived(settings.SECRET_KEY)}


@cache
def _derived(secret_key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"automette.lib.encryption").derive(
        secret_key.encode()
    )
