"""How subscribers know that a delivery is ours: Standard Webhooks 1.0.0, symmetric signatures.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import datetime as dt
import hmac
import secrets as random
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

from automette.lib.encryption import decrypt

PREFIX: Final = "wh_"
SECRET_BYTES: Final = 24


def new_secret() -> str:
    """Return a fresh secret: `wh_` and 32 characters, the base64 of 24 random bytes.

    Those with `+` or `/` are thrown away, so that readers of base64 and of base64url agree on the bytes; of 192
    random bits 190.5 remain.
    """
    while True:
        text = b64encode(random.token_bytes(SECRET_BYTES)).decode()
        if text.isalnum():
            return PREFIX + text


def sign(secrets: Iterable[str], event_id: str, timestamp: int, body: bytes, *, raw_key: bool) -> str:
    """Return the value of `webhook-signature`: a signature for each secret, in their order, separated by spaces.

    `body` are the bytes that go on the wire, `timestamp` the unix seconds of `webhook-timestamp`. The key is what a
    secret says after `wh_`, base64-decoded; with `raw_key` the whole secret as it is written.
    """
    message = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return " ".join(f"v1,{_mac(_key_of(secret, raw_key=raw_key), message)}" for secret in secrets)


def secrets_of(
    *,
    subscription_id: str,
    secret: str,
    previous_secret: str,
    previous_secret_until: dt.datetime | None,
    now: dt.datetime,
) -> list[str]:
    """Return the secrets with which a subscription's deliveries are signed now, the newest first.

    Takes the columns as they are kept. Raises automette.lib.encryption.DecryptionError.
    """
    kept = [secret]
    if previous_secret and previous_secret_until is not None and previous_secret_until > now:
        kept.append(previous_secret)
    return [decrypt(text, subscription_id) for text in kept]


def _key_of(secret: str, *, raw_key: bool) -> bytes:
    return secret.encode() if raw_key else b64decode(secret.removeprefix(PREFIX), validate=True)


def _mac(key: bytes, message: bytes) -> str:
    return b64encode(hmac.digest(key, message, "sha256")).decode()
