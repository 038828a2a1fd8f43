"""Rotating a secret: the new one signs at once, the one before for a day more; a repeat with a key rotates once."""

import datetime as dt
import re
import threading

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEntry, IdempotentRequest
from automette.lib.encryption import DecryptionError, decrypt
from tests.webhooks.deliveries import WEBHOOKS, subscribe
from webhooks.models import Subscription
from webhooks.signing import secrets_of

KEY = {"Idempotency-Key": "rotate-only-once"}


@pytest.fixture
def created(api):
    return api.post(WEBHOOKS, {"url": "https://shop.example", "events": ["render.failed"]}).json()


def rotate(api, subscription_id, headers=None):
    return api.post(f"{WEBHOOKS}/{subscription_id}/rotate_secret", headers=headers)


def signing(subscription_id, now=None):
    row = Subscription.objects.get(pk=subscription_id)
    return secrets_of(
        subscription_id=row.id,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_secret_until=row.previous_secret_until,
        now=now or timezone.now(),
    )


def test_both_secrets_sign_for_a_day_and_then_the_new_one(api, created):
    answer = rotate(api, created["id"])
    told = answer.json()
    assert (answer.status_code, list(told)) == (200, ["id", "secret", "previous_secret_until"])
    assert told["id"] == created["id"]
    assert re.fullmatch(r"wh_[A-Za-z0-9]{32}", told["secret"])
    until = Subscription.objects.get(pk=created["id"]).previous_secret_until
    assert told["previous_secret_until"] == until.strftime("%Y-%m-%dT%H:%M:%S.") + f"{until.microsecond // 1000:03}Z"
    just_before = until - dt.timedelta(microseconds=1)
    assert signing(created["id"]) == signing(created["id"], just_before) == [told["secret"], created["secret"]]
    assert signing(created["id"], until) == [told["secret"]]
    entries = AuditEntry.objects.filter(team=api.team, subject=created["id"]).order_by("id")
    assert [entry.action for entry in entries] == ["webhook.created", "webhook.secret_rotated"]
    assert api.get(f"{WEBHOOKS}/{created['id']}").json()["updated_at"] > created["created_at"]


def test_second_rotation_ends_the_oldest_secret(api, created):
    first, second = (rotate(api, created["id"]).json()["secret"] for _ in range(2))
    assert signing(created["id"]) == [second, first]


def test_disabled_webhook_can_be_rotated(api):
    subscription = subscribe(api, enabled=False)
    assert rotate(api, subscription.id).status_code == 200
    assert not Subscription.objects.get(pk=subscription.id).enabled


def test_repeat_with_the_key_shows_the_same_secret(api, created):
    first = rotate(api, created["id"], KEY)
    again = rotate(api, created["id"], KEY)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert signing(created["id"]) == [first.json()["secret"], created["secret"]]
    assert (
        rotate(api, created["id"], {"Idempotency-Key": "another-rotation"}).json()["secret"] != first.json()["secret"]
    )


def test_requests_with_one_key_at_once_rotate_once(api, created):
    answers = []

    def one():
        try:
            answers.append(rotate(api, created["id"], KEY).content)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert AuditEntry.objects.filter(team=api.team, action="webhook.secret_rotated").count() == 1


def kept(api, path):
    return IdempotentRequest.objects.get(team=api.team, route=f"POST {path}")


def test_remembered_answers_do_not_hold_the_secret_in_the_clear(api, created):
    path = f"{WEBHOOKS}/{created['id']}/rotate_secret"
    secret = rotate(api, created["id"], KEY).json()["secret"]
    body = {"url": "https://shop.example", "events": ["render.failed"]}
    first = api.post(WEBHOOKS, body, KEY)
    for each, told in ((path, secret), (WEBHOOKS, first.json()["secret"])):
        row = kept(api, each)
        assert told[3:] not in row.body
        assert row.body.startswith("s1:")
        assert told in decrypt(row.body, f"{api.team.id} POST {each} {row.key}")
    again = api.post(WEBHOOKS, body, KEY)
    assert (again.status_code, again.content, again.headers["Idempotent-Replayed"]) == (201, first.content, "true")
    assert api.team.webhook_subscriptions.count() == 2


def test_control_other_answers_are_kept_as_they_are(api):
    subscription = subscribe(api)
    first = api.post(f"{WEBHOOKS}/{subscription.id}/test", {}, KEY)
    assert kept(api, f"{WEBHOOKS}/{subscription.id}/test").body == first.content.decode()


def test_remembered_answer_of_another_row_cannot_be_read(api, other_api):
    body = {"url": "https://shop.example", "events": ["render.failed"]}
    mine, theirs = api.post(WEBHOOKS, body, KEY), other_api.post(WEBHOOKS, body, KEY)
    assert mine.json()["secret"] != theirs.json()["secret"]
    copied = kept(other_api, WEBHOOKS).body
    row = kept(api, WEBHOOKS)
    with pytest.raises(DecryptionError):
        decrypt(copied, f"{api.team.id} POST {WEBHOOKS} {row.key}")
