"""Subscriptions by the API: every answer whole, every refusal with nothing changed."""

import datetime as dt
import json
import re
import threading

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from automette.lib.encryption import decrypt
from automette.lib.ids import new_id
from tests.webhooks.deliveries import WEBHOOKS, deliver, subscribe
from webhooks.models import Delivery, Subscription
from webhooks.services import MAX_SUBSCRIPTIONS

URL = "https://shop.example/hooks?shop=1"
BOTH = ["render.completed", "render.failed"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def create(api, **more):
    return api.post(WEBHOOKS, {"url": URL, "events": BOTH, **more})


def patch(api, subscription_id, **changes):
    return api.send("PATCH", f"{WEBHOOKS}/{subscription_id}", json.dumps(changes).encode())


def audited(api):
    entries = AuditEntry.objects.filter(team=api.team, action__startswith="webhook.").order_by("id")
    return list(entries.values_list("action", flat=True))


@pytest.fixture
def unchanged(api):
    """The team's subscriptions and audit are the same afterwards."""

    def rows():
        return list(Subscription.objects.filter(team=api.team).order_by("id").values()), audited(api)

    before = rows()
    yield
    assert rows() == before


def test_created_is_told_with_its_secret_and_nothing_else(api):
    answer = create(api)
    told = answer.json()
    assert answer.status_code == 201
    assert list(told) == ["id", "url", "events", "secret", "enabled", "created_at"]
    assert (told["url"], told["events"], told["enabled"]) == (URL, BOTH, True)
    assert re.fullmatch(r"c[0-9a-z]{24}", told["id"])
    assert re.fullmatch(r"wh_[A-Za-z0-9]{32}", told["secret"])
    assert re.fullmatch(TIME, told["created_at"])
    assert audited(api) == ["webhook.created"]


def test_secret_is_shown_once_and_kept_encrypted(api):
    told = create(api).json()
    row = Subscription.objects.get(pk=told["id"])
    assert decrypt(row.secret, row.id) == told["secret"]
    everything = api.get(WEBHOOKS).content + api.get(f"{WEBHOOKS}/{row.id}").content
    everything += patch(api, row.id, enabled=False).content + api.send("DELETE", f"{WEBHOOKS}/{row.id}").content
    assert b"secret" not in everything
    assert told["secret"][3:].encode() not in everything
    with connection.cursor() as cursor:
        for table in ("webhooks_subscription", "accounts_auditentry", "accounts_idempotentrequest"):
            cursor.execute(
                f"SELECT count(*) FROM {table} AS row WHERE row::text LIKE %s", [f"%{told['secret'][3:]}%"]
            )
            assert cursor.fetchone() == (0,), table


def test_list_and_one_are_told_in_the_order_of_the_contract(api, other_api):
    assert (api.get(WEBHOOKS).status_code, api.get(WEBHOOKS).content) == (200, b"[]")
    first, second = create(api).json(), create(api, events=["form.submitted"], signature_key="raw").json()
    create(other_api)
    listed = api.get(WEBHOOKS).json()
    assert [each["id"] for each in listed] == [first["id"], second["id"]]
    one = api.get(f"{WEBHOOKS}/{second['id']}").json()
    assert one == listed[1]
    assert list(one)[:7] == ["id", "url", "events", "enabled", "failure_count", "created_at", "updated_at"]
    assert re.fullmatch(TIME, one.pop("updated_at"))
    assert one == {
        "id": second["id"],
        "url": URL,
        "events": ["form.submitted"],
        "enabled": True,
        "failure_count": 0,
        "created_at": second["created_at"],
        "self": f"http://localhost:8000{WEBHOOKS}/{second['id']}",
        "disabled_reason": None,
        "signature_key": "raw",
    }


ONE_OF = "Must be one of: render.completed, render.failed, form.submitted."
REFUSED = [
    ({"events": BOTH}, 400, "url: This field is required."),
    ({"url": None, "events": BOTH}, 400, "url: This field may not be null."),
    ({"url": URL}, 400, "events: This field is required."),
    ({"url": URL, "events": None}, 400, "events: This field may not be null."),
    ({"url": URL, "events": []}, 422, "events: This list may not be empty."),
    ({"url": URL, "events": ["render.finished"]}, 422, f"events.0: {ONE_OF}"),
    ({"url": URL, "events": ["render.failed", 1]}, 422, f"events.1: {ONE_OF}"),
    ({"url": URL, "events": "render.failed"}, 422, 'events: Expected a list of items but got type "str".'),
    ({"url": URL, "events": {"0": "x"}}, 422, 'events: Expected a list of items but got type "dict".'),
    ({"url": URL, "events": BOTH * 51}, 422, "events: Ensure this field has no more than 100 elements."),
    ({"url": URL, "events": BOTH, "signature_key": "hex"}, 422, "signature_key: Must be one of: base64, raw."),
    ({"url": 1, "events": BOTH}, 422, "url: Must be a string."),
    ({"url": "", "events": BOTH}, 422, "url: The URL must start with https://."),
    ({"url": "shop.example", "events": BOTH}, 422, "url: The URL must start with https://."),
    ({"url": "ftp://shop.example", "events": BOTH}, 422, "url: The URL must start with https://."),
    (
        {"url": "http://shop.example", "events": BOTH},
        422,
        "url: The URL must start with https://; http is not allowed here.",
    ),
    ({"url": "https://", "events": BOTH}, 422, "url: The URL has no valid host."),
    ({"url": "https://a:b@shop.example", "events": BOTH}, 422, "url: The URL contains a user name or password."),
    (
        {"url": "https://shop.example/a b", "events": BOTH},
        422,
        "url: The URL contains a space, a backslash or a control character.",
    ),
    (
        {"url": "https://2130706433/", "events": BOTH},
        422,
        "url: The URL's host is neither a name nor an IPv4 address of four decimal numbers.",
    ),
    ({"url": f"https://shop.example/{'x' * 1980}", "events": BOTH}, 422, "url: Has more than 2,000 characters."),
]


@pytest.mark.parametrize(("body", "status", "sentence"), REFUSED)
@pytest.mark.usefixtures("unchanged")
def test_refused_with_a_sentence(api, body, status, sentence):
    answer = api.post(WEBHOOKS, body)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({name: value}, 422, sentence)
        for body, status, sentence in REFUSED
        for name, value in body.items()
        if sentence.startswith(name) and status == 422
    ],
)
def test_change_is_refused_in_the_same_words(api, body, status, sentence):
    subscription = subscribe(api)
    before = list(Subscription.objects.filter(team=api.team).values())
    answer = patch(api, subscription.id, **body)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)
    assert list(Subscription.objects.filter(team=api.team).values()) == before


@pytest.mark.parametrize("name", ["url", "events", "enabled", "signature_key"])
def test_null_is_no_change_and_no_value(api, name):
    subscription = subscribe(api)
    answer = patch(api, subscription.id, **{name: None})
    assert (answer.status_code, answer.json()["error"]) == (422, f"{name}: This field may not be null.")
    assert Subscription.objects.get(pk=subscription.id).updated_at == subscription.updated_at


def test_longest_url_is_taken_and_given_back_as_it_was_sent(api):
    url = f"https://Shop.Example:443/%7e/ü?a=b&&c#{'x' * 1970}"[:2000]
    assert (len(url), create(api, url=url).json()["url"]) == (2000, url)


def test_http_is_taken_where_the_operator_allows_it(api, settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    assert create(api, url="http://localhost:9/x").json()["url"] == "http://localhost:9/x"


def test_events_named_twice_count_once_in_their_first_order(api):
    told = create(api, events=["render.failed", "render.completed", "render.failed"]).json()
    assert told["events"] == ["render.failed", "render.completed"]
    assert patch(api, told["id"], events=["form.submitted"] * 3).json()["events"] == ["form.submitted"]


def test_unknown_keys_are_ignored(api):
    told = create(api, secret="wh_mine", id="x", enabled=False, failure_count=3, team_id="x").json()
    row = Subscription.objects.get(pk=told["id"])
    assert (row.enabled, row.failure_count, row.team) == (True, 0, api.team)
    assert told["secret"] != "wh_mine"
    patched = patch(api, row.id, failure_count=3, created_at="x", secret="x", deleted_at="2026-01-01T00:00:00Z")
    assert (patched.status_code, patched.json()["failure_count"]) == (200, 0)
    assert Subscription.objects.get(pk=row.id).updated_at == row.updated_at


def test_change_of_each_field_stays_and_is_audited(api):
    told = create(api).json()
    changes = {"url": "https://other.example", "events": ["form.submitted"], "signature_key": "raw", "enabled": False}
    for name, value in changes.items():
        answer = patch(api, told["id"], **{name: value})
        assert (answer.status_code, answer.json()[name]) == (200, value)
    one = api.get(f"{WEBHOOKS}/{told['id']}").json()
    assert {name: one[name] for name in changes} == changes
    assert one["disabled_reason"] == "The team disabled it."
    assert one["updated_at"] >= told["created_at"]
    entries = AuditEntry.objects.filter(team=api.team, action="webhook.updated").order_by("id")
    assert [entry.detail["changed"] for entry in entries] == [
        ["url"],
        ["events"],
        ["signature_key"],
        ["disabled_reason", "enabled"],
    ]


@pytest.mark.parametrize("body", [{}, {"enabled": True}, {"url": URL}, {"events": BOTH}])
def test_change_to_what_is_there_changes_nothing(api, body):
    told = create(api).json()
    before = Subscription.objects.values().get(pk=told["id"])
    assert patch(api, told["id"], **body).status_code == 200
    assert Subscription.objects.values().get(pk=told["id"]) == before
    assert audited(api) == ["webhook.created"]


@pytest.mark.parametrize("enabled", [True, False])
def test_enabling_forgets_the_failures(api, enabled):
    subscription = subscribe(api, enabled=enabled, failure_count=9, disabled_reason="" if enabled else "10 failures")
    answer = patch(api, subscription.id, enabled=True).json()
    assert (answer["enabled"], answer["failure_count"], answer["disabled_reason"]) == (True, 0, None)


def test_other_changes_leave_failures_and_reason(api):
    subscription = subscribe(api, enabled=False, failure_count=10, disabled_reason="10 failed attempts in a row.")
    for changes in ({"url": "https://other.example"}, {"enabled": False}):
        answer = patch(api, subscription.id, **changes).json()
        assert (answer["enabled"], answer["failure_count"]) == (False, 10)
        assert answer["disabled_reason"] == "10 failed attempts in a row."


def test_disabling_suspends_what_waits(api):
    subscription, other = subscribe(api), subscribe(api)
    waiting, theirs = deliver(subscription), deliver(other)
    sending = deliver(subscription, status="sending")
    again = deliver(subscription, manual=True, delivered_at=timezone.now())
    ended = [deliver(subscription, status=status) for status in ("delivered", "failed", "suspended")]
    assert patch(api, subscription.id, enabled=False).status_code == 200
    found = {each.pk: each.status for each in Delivery.objects.filter(team=api.team)}
    assert found == {
        waiting.pk: "suspended",
        again.pk: "delivered",
        sending.pk: "sending",
        theirs.pk: "pending",
        **{each.pk: each.status for each in ended},
    }
    assert not Delivery.objects.filter(subscription=subscription, manual=True).exists()


def test_deleted_is_gone_like_one_that_never_was(api):
    told = create(api).json()
    path = f"{WEBHOOKS}/{told['id']}"
    api.post(f"{path}/rotate_secret")
    answer = api.send("DELETE", path)
    assert (answer.status_code, answer.content) == (200, b'{"id":"%s","deleted":true}' % told["id"].encode())
    row = Subscription.objects.get(pk=told["id"])
    assert (row.secret, row.previous_secret, row.previous_secret_until, row.enabled) == ("", "", None, False)
    assert api.get(WEBHOOKS).json() == []
    for method, each in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test"),
                         ("POST", "/rotate_secret")]:  # fmt: skip
        answer = api.send(method, path + each)
        nobodys = api.send(method, f"{WEBHOOKS}/{new_id()}{each}")
        assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}'), each
        assert answer.content == nobodys.content
    assert audited(api) == ["webhook.created", "webhook.secret_rotated", "webhook.deleted"]


def test_deleting_ends_what_is_open_and_leaves_other_deliveries(api):
    subscription, other = subscribe(api), subscribe(api)
    before = {status: deliver(subscription, status=status) for status in Delivery.Status.values}
    theirs = deliver(other)
    api.send("DELETE", f"{WEBHOOKS}/{subscription.id}")
    after = {status: Delivery.objects.get(pk=row.pk) for status, row in before.items()}
    assert {status: row.status for status, row in after.items()} == {
        "pending": "failed",
        "sending": "failed",
        "delivered": "delivered",
        "failed": "failed",
        "suspended": "suspended",
    }
    assert all(row.ring_at is row.lease_expires_at is row.next_attempt_at is None for row in list(after.values())[:2])
    assert Delivery.objects.get(pk=theirs.pk).status == "pending"
    for row in before.values():
        assert api.get(f"/api/v1/webhook_deliveries/{row.pk}").status_code == 404
        assert api.post(f"/api/v1/webhook_deliveries/{row.pk}/redeliver").status_code == 404


def test_team_has_at_most_fifty_and_deleted_ones_do_not_count(api, other_api):
    subscriptions = [subscribe(api) for _ in range(MAX_SUBSCRIPTIONS)]
    assert MAX_SUBSCRIPTIONS == 50
    answer = create(api)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "This team has 50 webhooks, as many as it may. Delete one first."},
    )
    assert api.team.webhook_subscriptions.count() == 50
    assert create(other_api).status_code == 201
    api.send("DELETE", f"{WEBHOOKS}/{subscriptions[0].id}")
    assert (create(api).status_code, create(api).status_code) == (201, 422)


def test_at_once_two_do_not_become_one_too_many(api):
    for _ in range(MAX_SUBSCRIPTIONS - 1):
        subscribe(api)
    answers = []

    def one():
        try:
            answers.append(create(api).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    with transaction.atomic():  # so that all of them wait at the same place
        api.team.__class__.objects.select_for_update(no_key=True).get(pk=api.team.pk)
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 422, 422, 422]
    assert api.team.webhook_subscriptions.count() == MAX_SUBSCRIPTIONS


def test_a_change_does_not_wait_for_new_deliveries_nor_they_for_it(api):
    """Whoever ends a render adds a delivery, which refers to the row that a change holds."""
    subscription = subscribe(api)
    done = threading.Event()

    def write():
        try:
            deliver(subscription)
            done.set()
        finally:
            connection.close()

    with transaction.atomic():
        patch(api, subscription.id, enabled=False)
        thread = threading.Thread(target=write)
        thread.start()
        assert done.wait(30)
    thread.join()


def test_control_a_stronger_lock_would_let_them_wait(api):
    subscription = subscribe(api)
    refused = []

    def write():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '100ms'")
                deliver(subscription)
        except OperationalError as error:
            refused.append(str(error))
        finally:
            connection.close()

    with transaction.atomic():
        Subscription.objects.select_for_update().get(pk=subscription.pk)
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert ["lock timeout" in each for each in refused] == [True]


def test_secrets_of_two_rows_cannot_be_swapped(api):
    one, two = (Subscription.objects.get(pk=create(api).json()["id"]) for _ in range(2))
    assert one.secret != two.secret
    with pytest.raises(Exception, match="belongs to another row"):
        decrypt(two.secret, one.id)


def test_rotation_ends_in_time(api):
    """The day is counted by the database."""
    told = create(api).json()
    answer = api.post(f"{WEBHOOKS}/{told['id']}/rotate_secret").json()
    until = dt.datetime.fromisoformat(answer["previous_secret_until"])
    assert abs(until - timezone.now() - dt.timedelta(hours=24)) < dt.timedelta(minutes=5)
