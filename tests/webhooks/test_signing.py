import datetime as dt
import json
import re
from base64 import b64decode, urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from automette.lib.encryption import DecryptionError, encrypt
from webhooks.signing import new_secret, secrets_of, sign

SUBSCRIPTION = "cwhtest000000000000000001"
NOW = dt.datetime(2026, 8, 15, 12, tzinfo=dt.UTC)
SECRET = "wh_YS10ZXN0LXNpZ25pbmctc2VjcmV0"
EVENT = "evt_form_cm4sub9rk0001jt04d2h6w8pn"
BODY = (
    b'{"event_id":"evt_form_cm4sub9rk0001jt04d2h6w8pn","event":"form.submitted",'
    b'"form_id":"cm4frm3xz0001jw04y7c4m1gh","submission_id":"cm4sub9rk0001jt04d2h6w8pn",'
    b'"answers":{"n":3},"submitted_at":"2026-08-15T12:00:00.000Z"}'
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def verify(secret, body, signature, *, event=EVENT, timestamp, raw_key=False):
    """As a subscriber with the reference library does; raises WebhookVerificationError."""
    key = secret.encode() if raw_key else secret.removeprefix("wh_")
    headers = {"webhook-id": event, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    Webhook(key).verify(body, headers, json_parse=False)


def now():
    return int(dt.datetime.now(dt.UTC).timestamp())


@pytest.mark.parametrize(
    ("raw_key", "signature"),
    [
        (False, "v1,ztBZ455fTCddzSKTGgrA7P/9WywEhB8vzkpgEHuzS5M="),
        (True, "v1,gBfAPq4FGqQrIc7JFIRKxuZB/n5f+YNJ2MCtwDq0D58="),
    ],
)
def test_vector_of_the_contract(raw_key, signature):
    assert sign([SECRET], EVENT, 1786795200, BODY, raw_key=raw_key) == signature


def test_official_vector_of_standard_webhooks():
    signature = sign(
        ["wh_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        raw_key=False,
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(value=anything, ascii_only=st.booleans(), raw_key=st.booleans())
def test_reference_library_verifies_any_body(value, ascii_only, raw_key):
    secret, timestamp = new_secret(), now()
    body = json.dumps({"data": value}, ensure_ascii=ascii_only).encode("utf-8", "replace")
    signature = sign([secret], EVENT, timestamp, body, raw_key=raw_key)
    verify(secret, body, signature, timestamp=timestamp, raw_key=raw_key)
    with pytest.raises(WebhookVerificationError):
        verify(secret, body, signature, timestamp=timestamp, raw_key=not raw_key)


@given(data=st.data())
def test_one_changed_byte_is_noticed(data):
    secret, timestamp = new_secret(), now()
    body = json.dumps({"data": data.draw(anything)}).encode()
    signature = sign([secret], EVENT, timestamp, body, raw_key=False)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[place] = (changed[place] + data.draw(st.integers(1, 127))) % 128
    with pytest.raises(WebhookVerificationError):
        verify(secret, bytes(changed), signature, timestamp=timestamp)
    verify(secret, body, signature, timestamp=timestamp)


def test_id_and_time_are_signed_as_well():
    secret, timestamp = new_secret(), now()
    signature = sign([secret], EVENT, timestamp, BODY, raw_key=False)
    with pytest.raises(WebhookVerificationError):
        verify(secret, BODY, signature, timestamp=timestamp - 1)
    with pytest.raises(WebhookVerificationError):
        verify(secret, BODY, signature, event="evt_form_other", timestamp=timestamp)


def test_each_of_two_secrets_verifies_what_both_signed():
    newest, previous, timestamp = new_secret(), new_secret(), now()
    signature = sign([newest, previous], EVENT, timestamp, BODY, raw_key=False)
    alone = [sign([secret], EVENT, timestamp, BODY, raw_key=False) for secret in (newest, previous)]
    assert signature == " ".join(alone)
    verify(newest, BODY, signature, timestamp=timestamp)
    verify(previous, BODY, signature, timestamp=timestamp)
    with pytest.raises(WebhookVerificationError):
        verify(new_secret(), BODY, signature, timestamp=timestamp)


def test_secrets_read_the_same_in_both_kinds_of_base64():
    secrets = [new_secret() for _ in range(200)]
    for secret in secrets:
        assert re.fullmatch(r"wh_[A-Za-z0-9]{32}", secret)
        assert b64decode(secret[3:]) == urlsafe_b64decode(secret[3:])
        assert len(b64decode(secret[3:])) == 24
    assert len(set(secrets)) == 200


def test_a_secret_that_is_none_of_ours_signs_nothing():
    with pytest.raises(ValueError):
        sign(["wh_not base64"], EVENT, 1, BODY, raw_key=False)


def kept(secret, previous="", until=None):
    return {
        "subscription_id": SUBSCRIPTION,
        "secret": encrypt(secret, SUBSCRIPTION),
        "previous_secret": encrypt(previous, SUBSCRIPTION) if previous else "",
        "previous_secret_until": until,
        "now": NOW,
    }


@pytest.mark.parametrize(
    ("until", "signing"),
    [
        (NOW + dt.timedelta(microseconds=1), ["wh_new", "wh_previous"]),
        (NOW, ["wh_new"]),
        (NOW - dt.timedelta(hours=1), ["wh_new"]),
        (None, ["wh_new"]),
    ],
)
def test_the_previous_secret_signs_until_its_time_ends(until, signing):
    assert secrets_of(**kept("wh_new", "wh_previous", until)) == signing


def test_without_a_rotation_one_secret_signs():
    assert secrets_of(**kept("wh_only")) == ["wh_only"]


def test_secrets_of_another_subscription_cannot_be_read():
    with pytest.raises(DecryptionError):
        secrets_of(**{**kept("wh_only"), "subscription_id": SUBSCRIPTION.replace("1", "2")})
