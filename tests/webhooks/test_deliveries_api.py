"""Looking at deliveries: the list of a subscription, and one with its attempts."""

import datetime as dt

import pytest
from django.db import connection

from automette.lib.ids import new_id
from automette.lib.pagination import NEWEST_FIRST
from automette.lib.timestamps import iso
from tests.credits.test_ledger_api import blocks_read
from tests.renders.test_list_plans import A_PAGE, MANY, grow
from tests.webhooks.deliveries import DELIVERIES, WEBHOOKS, deliver, subscribe
from webhooks.models import Attempt, Delivery

NOW = dt.datetime(2026, 8, 15, 12, 0, 0, 123456, tzinfo=dt.UTC)


def listed(api, subscription, **query):
    answer = api.get(f"{WEBHOOKS}/{subscription.id}/deliveries", **query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def attempt(delivery, number, **more):
    row = {"url": "https://then.example", "finished_at": NOW, "milliseconds": 12, **more}
    made = Attempt.objects.create(delivery=delivery, claim=number, **row)
    Delivery.objects.filter(pk=delivery.pk).update(claim=number)
    return Attempt.objects.get(pk=made.pk)


def test_a_delivery_is_told_whole(api):
    subscription = subscribe(api)
    delivery = deliver(subscription, status="delivered", claim=2, delivered_at=NOW)
    assert listed(api, subscription) == {
        "deliveries": [
            {
                "id": delivery.id,
                "self": f"http://localhost:8000{DELIVERIES}/{delivery.id}",
                "webhook_id": subscription.id,
                "event_id": delivery.event_id,
                "event": "render.completed",
                "render_id": delivery.event.render_id,
                "url": "https://127.0.0.1:1/hooks",
                "status": "delivered",
                "attempt_count": 2,
                "next_attempt_at": None,
                "delivered_at": "2026-08-15T12:00:00.123Z",
                "created_at": iso(delivery.created_at),
            }
        ],
        "next_cursor": None,
    }


def test_one_shows_what_was_sent_and_what_came_back(api):
    subscription = subscribe(api)
    delivery = deliver(subscription, status="failed", body='{"event_id":"x","data":{"a":1.0,"ü":[]}}')
    first = attempt(delivery, 1, error="The receiver did not answer in time.", error_code="timeout", created_at=NOW)
    second = attempt(delivery, 2, success=True, http_status=204, answer="thanks", manual=True, created_at=NOW)
    third = attempt(delivery, 3, finished_at=None, milliseconds=None, created_at=NOW)
    answer = api.get(f"{DELIVERIES}/{delivery.id}")
    told = answer.json()
    assert answer.status_code == 200
    assert told.pop("attempts") == [
        {
            "id": each.id,
            "number": number,
            "manual": number == 2,
            "url": "https://then.example",
            "success": number == 2,
            "http_status": 204 if number == 2 else None,
            "error": "The receiver did not answer in time." if number == 1 else None,
            "error_code": "timeout" if number == 1 else None,
            "milliseconds": None if number == 3 else 12,
            "answer": "thanks" if number == 2 else "",
            "created_at": "2026-08-15T12:00:00.123Z",
            "finished_at": None if number == 3 else "2026-08-15T12:00:00.123Z",
        }
        for number, each in ((3, third), (2, second), (1, first))
    ]
    assert told.pop("body") == '{"event_id":"x","data":{"a":1.0,"ü":[]}}'
    assert [told] == listed(api, subscription)["deliveries"]


def test_delivery_for_a_render_names_its_address_and_no_webhook(api):
    delivery = deliver(team=api.team)
    told = api.get(f"{DELIVERIES}/{delivery.id}").json()
    assert (told["webhook_id"], told["url"], told["attempts"]) == (None, "https://127.0.0.1:1/back", [])


@pytest.mark.parametrize("status", ["pending", "sending", "delivered", "failed", "suspended"])
def test_next_attempt_is_told_while_there_will_be_one(api, status):
    subscription = subscribe(api)
    deliver(subscription, status=status, next_attempt_at=NOW)
    told = listed(api, subscription)["deliveries"][0]
    assert told["status"] == status
    assert told["next_attempt_at"] == ("2026-08-15T12:00:00.123Z" if status == "pending" else None)


def test_pages_go_from_the_newest_to_the_oldest(api):
    subscription = subscribe(api)
    ids = [deliver(subscription).id for _ in range(5)]
    deliver(subscribe(api))
    deliver(team=api.team)
    found, cursor = [], {}
    for size in (2, 2, 1):
        page = listed(api, subscription, limit=2, **cursor)
        found += [each["id"] for each in page["deliveries"]]
        assert len(page["deliveries"]) == size
        cursor = {"cursor": page["next_cursor"]}
    assert (found, cursor) == (sorted(ids, reverse=True), {"cursor": None})


def test_filter_by_status(api):
    subscription = subscribe(api)
    rows = {status: [deliver(subscription, status=status).id for _ in range(2)] for status in Delivery.Status.values}
    for status, ids in rows.items():
        told = listed(api, subscription, status=status)["deliveries"]
        assert [each["id"] for each in told] == sorted(ids, reverse=True)
    page = listed(api, subscription, status="failed", limit=1)
    rest = listed(api, subscription, status="failed", limit=1, cursor=page["next_cursor"])
    assert [page["deliveries"][0]["id"], rest["deliveries"][0]["id"]] == sorted(rows["failed"], reverse=True)
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"status": "lost"}, "status: Must be one of: pending, sending, delivered, failed, suspended."),
        ({"limit": 0}, "limit: Ensure this value is greater than or equal to 1."),
        ({"limit": 101}, "limit: Ensure this value is less than or equal to 100."),
        ({"cursor": "x"}, "cursor: unknown. Take the value of next_cursor from the page before."),
    ],
)
def test_question_that_cannot_be_answered(api, query, sentence):
    subscription = subscribe(api)
    answer = api.get(f"{WEBHOOKS}/{subscription.id}/deliveries", **query)
    assert (answer.status_code, answer.json()["error"]) == (422, sentence)


def test_delivery_of_another_subscription_is_no_cursor(api, other_api):
    subscription, theirs = subscribe(api), deliver(subscribe(other_api))
    path = f"{WEBHOOKS}/{subscription.id}/deliveries"
    real, made_up = api.get(path, cursor=theirs.id), api.get(path, cursor=new_id())
    assert (real.status_code, real.content) == (422, made_up.content)


def test_at_most_a_hundred_attempts_are_shown_the_newest(api):
    delivery = deliver(subscribe(api), status="failed")
    Attempt.objects.bulk_create(
        Attempt(delivery=delivery, claim=n, url="https://then.example") for n in range(1, 103)
    )
    told = api.get(f"{DELIVERIES}/{delivery.id}").json()["attempts"]
    assert [each["number"] for each in told] == list(range(102, 2, -1))


_GROW = """
INSERT INTO webhooks_delivery
SELECT (jsonb_populate_record(row, jsonb_build_object(
    'id', left(id, 19) || lpad(n::text, 6, '0'), 'event_id', left(event_id, 19) || lpad(n::text, 6, '0')))).*
FROM webhooks_delivery AS row, generate_series(1, %s) AS n WHERE id = %s
"""


def test_every_page_reads_a_page_of_the_table(api):
    """Whatever is asked for, among many thousands of a subscription."""
    subscription = subscribe(api)
    common = deliver(subscription, status="delivered")
    deliver(subscription, status="failed")
    grow(common.event, MANY)
    with connection.cursor() as cursor:
        cursor.execute(_GROW, [MANY, common.pk])
        cursor.execute("ANALYZE webhooks_delivery")
    for wanted in ({}, {"status": "delivered"}, {"status": "failed"}, {"status": "suspended"}):
        rows = Delivery.objects.filter(subscription=subscription, **wanted).order_by(NEWEST_FIRST)
        for start in ({}, {"pk__lt": "z"}):
            assert blocks_read(rows.filter(**start)[:21]) < A_PAGE, (wanted, start)
