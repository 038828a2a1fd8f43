"""Tests of a subscription, and events that are sent again: what is reopened, what is rung for, what is refused."""

import datetime as dt
import json

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from automette.lib.ids import new_id
from tests.webhooks.deliveries import DELIVERIES, WEBHOOKS, deliver, subscribe
from webhooks import redelivery
from webhooks.models import Delivery, Event

ENABLE_FIRST = (
    "This webhook is disabled. Enable it first: PATCH http://localhost:8000/api/v1/webhooks/{} with "
    '{{"enabled": true}}.'
)
NO_TIME = (
    "since: Datetime has wrong format. Use one of these formats instead: "
    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
AGO = timezone.now() - dt.timedelta(hours=1)


@pytest.fixture
def rung(monkeypatch):
    """The ids of deliveries whose message was sent, after which commit; the broker is not asked."""
    found = []

    def note(task, *, queue, kwargs):
        assert (task.name, queue) == ("webhooks.send_delivery", "webhooks")
        transaction.on_commit(lambda: found.append(kwargs["delivery_id"]))

    monkeypatch.setattr(redelivery, "send_after_commit", note)
    monkeypatch.setattr(redelivery, "ring", found.extend)
    return found


def state(delivery):
    row = Delivery.objects.get(pk=delivery.pk)
    return row.status, row.manual


def is_due(delivery):
    """The next attempt is now, and the sweeper would ring a little later."""
    row, now = Delivery.objects.get(pk=delivery.pk), timezone.now()
    assert AGO < row.next_attempt_at <= now + dt.timedelta(minutes=1)
    assert row.ring_at - row.next_attempt_at >= dt.timedelta(seconds=5)
    return True


def redeliver(api, delivery):
    return api.post(f"{DELIVERIES}/{delivery.pk}/redeliver")


def since(api, subscription, moment):
    return api.post(f"{WEBHOOKS}/{subscription.id}/redeliver", {"since": moment})


def audit(api, action="webhook.redelivered"):
    return [
        (entry.subject, entry.detail)
        for entry in AuditEntry.objects.filter(team=api.team, action=action).order_by("id")
    ]


@pytest.mark.parametrize("status", ["delivered", "failed", "suspended"])
def test_ended_delivery_is_sent_once_more(api, rung, status):
    delivery = deliver(subscribe(api), status=status, failures=3, claim=4)
    answer = redeliver(api, delivery)
    told = answer.json()
    assert (answer.status_code, told["id"], told["status"], told["attempt_count"]) == (202, delivery.id, "pending", 4)
    assert (told["event_id"], told["next_attempt_at"] is None) == (delivery.event_id, False)
    assert (state(delivery), is_due(delivery), rung) == (("pending", True), True, [delivery.id])
    assert audit(api) == [(delivery.id, {"event_id": delivery.event_id, "was": status})]
    row = Delivery.objects.get(pk=delivery.pk)
    assert (row.failures, row.delivered_at) == (3, delivery.delivered_at)


def test_waiting_delivery_has_its_next_attempt_now_and_stays_automatic(api, rung):
    delivery = deliver(subscribe(api), failures=3)
    assert redeliver(api, delivery).status_code == 202
    assert (state(delivery), is_due(delivery), rung) == (("pending", False), True, [delivery.id])
    assert Delivery.objects.get(pk=delivery.pk).failures == 3


def test_delivery_for_a_render_can_be_sent_again(api, rung):
    delivery = deliver(team=api.team, status="failed")
    assert redeliver(api, delivery).status_code == 202
    assert (state(delivery), rung) == (("pending", True), [delivery.id])


def test_delivery_that_is_being_sent_is_refused(api, rung):
    delivery = deliver(subscribe(api), status="sending", claim=1)
    answer = redeliver(api, delivery)
    assert (answer.status_code, answer.json()) == (
        409,
        {"error": "An attempt at this delivery is being made at this moment. Look at what comes of it."},
    )
    assert (Delivery.objects.get(pk=delivery.pk), rung, audit(api)) == (delivery, [], [])
    assert state(delivery) == ("sending", False)


@pytest.mark.parametrize("status", ["pending", "delivered", "failed", "suspended"])
def test_disabled_webhook_gets_nothing(api, rung, status):
    subscription = subscribe(api, enabled=False)
    delivery = deliver(subscription, status=status)
    before = Delivery.objects.values().get(pk=delivery.pk)
    answers = [
        redeliver(api, delivery),
        since(api, subscription, "2026-01-01T00:00:00Z"),
        api.post(f"{WEBHOOKS}/{subscription.id}/test"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (409, {"error": ENABLE_FIRST.format(subscription.id)})
    assert Delivery.objects.values().get(pk=delivery.pk) == before
    assert (Delivery.objects.filter(team=api.team).count(), rung) == (1, [])
    assert not AuditEntry.objects.filter(team=api.team, action__startswith="webhook.").exists()


def test_it_is_rung_for_when_the_rows_are_there_and_not_before(api, rung):
    delivery = deliver(subscribe(api), status="failed")
    with transaction.atomic():
        redeliver(api, delivery)
        assert rung == []
    assert rung == [delivery.id]


def at(delivery, moment):
    """Let a delivery be of another time; ids have it, too, but the column decides."""
    Delivery.objects.filter(pk=delivery.pk).update(created_at=moment)
    return delivery


def test_since_reopens_what_was_not_delivered_from_then_on(api, rung):
    subscription, other = subscribe(api), subscribe(api)
    moment = dt.datetime(2026, 8, 15, 12, tzinfo=dt.UTC)
    before = at(deliver(subscription, status="failed"), moment - dt.timedelta(microseconds=1))
    wanted = [at(deliver(subscription, status=status), moment) for status in ("failed", "suspended")]
    left = [deliver(subscription, status=status) for status in ("pending", "sending", "delivered")]
    left += [before, deliver(other, status="failed"), deliver(team=api.team, status="failed")]
    untouched = list(Delivery.objects.filter(pk__in=[each.pk for each in left]).order_by("pk").values())
    answer = since(api, subscription, "2026-08-15T14:00:00.000+02:00")
    assert (answer.status_code, answer.json()) == (202, {"id": subscription.id, "redelivered": 2})
    assert [(state(each), is_due(each)) for each in wanted] == [(("pending", True), True)] * 2
    assert rung == sorted(each.id for each in wanted)  # those of one millisecond are in no order
    assert list(Delivery.objects.filter(pk__in=[each.pk for each in left]).order_by("pk").values()) == untouched
    assert audit(api) == [(subscription.id, {"since": "2026-08-15T12:00:00+00:00", "count": 2})]
    again = since(api, subscription, "2026-08-15T12:00:00Z")
    assert (again.json()["redelivered"], len(rung), len(audit(api))) == (0, 2, 1)


def test_since_works_in_batches_and_rings_for_as_many_as_are_sent_at_once(api, rung, monkeypatch, settings):
    settings.WEBHOOK_CALLS_PER_RECEIVER = 2
    monkeypatch.setattr(redelivery, "_BATCH", 3)
    subscription = subscribe(api)
    ids = sorted(deliver(subscription, status="failed").id for _ in range(7))
    statements = []

    def note(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        assert since(api, subscription, "2026-01-01T00:00:00Z").json()["redelivered"] == 7
    assert len([sql for sql in statements if "WITH ended" in sql]) == 3
    assert rung == ids[:2]
    assert [detail["count"] for _, detail in audit(api)] == [3, 3, 1]
    rows = Delivery.objects.filter(subscription=subscription).order_by("id")
    assert {(row.status, row.manual) for row in rows} == {("pending", True)}
    waits = [row.ring_at - row.next_attempt_at for row in rows][:3]
    assert waits == [dt.timedelta(seconds=5, milliseconds=10 * number) for number in (1, 2, 3)]


def test_since_does_not_wait_for_a_delivery_that_somebody_holds(api, rung):
    subscription = subscribe(api)
    held, free = (deliver(subscription, status="failed") for _ in range(2))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            other.set_autocommit(False)
            cursor.execute("SELECT 1 FROM webhooks_delivery WHERE id = %s FOR UPDATE", [held.pk])
            assert since(api, subscription, "2026-01-01T00:00:00Z").json()["redelivered"] == 1
        other.rollback()
    finally:
        other.close()
    assert (state(held), state(free)) == (("failed", False), ("pending", True))


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "since: This field is required."),
        ({"since": None}, 400, "since: This field may not be null."),
        *(
            ({"since": value}, 422, NO_TIME)
            for value in ("yesterday", 1786795200, True, [], {}, "2026-13-01T00:00:00Z", "")
        ),
    ],
)
def test_since_must_be_a_time(api, rung, body, status, sentence):
    subscription = subscribe(api)
    delivery = deliver(subscription, status="failed")
    answer = api.post(f"{WEBHOOKS}/{subscription.id}/redeliver", body)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)
    assert (state(delivery), rung) == (("failed", False), [])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00", "2026-01-01"])
def test_any_time_is_taken(api, moment):
    answer = since(api, subscribe(api), moment)
    assert (answer.status_code, answer.json()["redelivered"]) == (202, 0)


SAMPLES = {
    "render.completed": [
        "event_id",
        "event",
        "render_id",
        "job_id",
        "template_id",
        "template_name",
        "status",
        "url",
        "format",
        "data",
        "error",
        "created_at",
        "completed_at",
        "test",
    ],
    "form.submitted": ["event_id", "event", "form_id", "submission_id", "answers", "submitted_at", "test"],
}
SAMPLES["render.failed"] = SAMPLES["render.completed"]


@pytest.mark.parametrize("name", SAMPLES)
def test_test_sends_an_event_as_it_would_be(api, rung, name):
    subscription = subscribe(api, events=["form.submitted"])
    answer = api.post(f"{WEBHOOKS}/{subscription.id}/test", {"event": name})
    told = answer.json()
    event = Event.objects.get(pk=told["event_id"])
    body = json.loads(event.body)
    assert (answer.status_code, told["status"], told["event"], told["attempt_count"]) == (202, "pending", name, 0)
    assert (told["webhook_id"], told["render_id"], told["url"]) == (subscription.id, None, subscription.url)
    assert (list(body), body["event_id"], body["event"], body["test"]) == (SAMPLES[name], event.id, name, True)
    assert event.id.startswith("evt_test_c")
    assert event.body == json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    delivery = Delivery.objects.get(pk=told["id"])
    assert (state(delivery), is_due(delivery), rung) == (("pending", True), True, [delivery.id])
    assert delivery.receiver == subscription.id
    assert audit(api, "webhook.tested") == [(subscription.id, {"delivery_id": delivery.id, "event": name})]


@pytest.mark.parametrize(("status", "url", "error"), [("completed", True, False), ("failed", False, True)])
def test_sample_of_a_render_reads_like_one(api, rung, status, url, error):
    subscription = subscribe(api)
    told = api.post(f"{WEBHOOKS}/{subscription.id}/test", {"event": f"render.{status}"}).json()
    body = json.loads(Event.objects.get(pk=told["event_id"]).body)
    assert (body["status"], body["url"] is not None, body["error"] is not None) == (status, url, error)


@pytest.mark.parametrize("body", [None, {}])
def test_test_without_a_word_sends_the_first_event(api, rung, body):
    subscription = subscribe(api, events=["render.failed", "render.completed"])
    assert api.post(f"{WEBHOOKS}/{subscription.id}/test", body).json()["event"] == "render.failed"


def test_test_of_an_unknown_event_is_refused(api, rung):
    subscription = subscribe(api)
    answer = api.post(f"{WEBHOOKS}/{subscription.id}/test", {"event": "x"})
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "event: Must be one of: render.completed, render.failed, form.submitted.",
    )
    assert (Event.objects.filter(team=api.team).count(), rung) == (0, [])


def test_repeated_test_with_a_key_sends_one(api, rung):
    path, headers = f"{WEBHOOKS}/{subscribe(api).id}/test", {"Idempotency-Key": "test-only-once"}
    first, again = (api.post(path, {}, headers=headers) for _ in range(2))
    assert (again.status_code, again.content, len(rung)) == (202, first.content, 1)
    assert Delivery.objects.filter(team=api.team).count() == 1


def test_repeated_redelivery_with_a_key_sends_once(api, rung):
    path = f"{DELIVERIES}/{deliver(subscribe(api), status='delivered').id}/redeliver"
    headers = {"Idempotency-Key": "again-only-once"}
    first, again = (api.post(path, headers=headers) for _ in range(2))
    assert (again.status_code, again.content, len(rung), len(audit(api))) == (202, first.content, 1, 1)


def test_what_nobody_has_is_not_found(api, rung):
    for path in (
        f"{DELIVERIES}/{new_id()}/redeliver",
        f"{WEBHOOKS}/{new_id()}/redeliver",
        f"{WEBHOOKS}/{new_id()}/test",
    ):
        answer = api.post(path, {"since": "2026-01-01T00:00:00Z"})
        assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')
