"""`webhook_url` of `POST /renders`, and `webhook_deliveries` of `GET /renders/{id}`."""

import datetime as dt

import pytest
from django.db import connection
from django.db.models.functions import Now

from automette.lib.timestamps import iso
from renders.models import Render
from tests.webhooks.ended import RECEIVER, attempt, claim, complete, deliveries_of, fail, subscribe

MINUTE = dt.timedelta(minutes=1)
START = dt.datetime(2026, 11, 20, 9, 30, tzinfo=dt.UTC)


def shown(api, render: Render) -> dict:
    return api.get(f"/api/v1/renders/{render.id}").json()


@pytest.fixture
def ended(api, accept) -> Render:
    """A render that a subscription and its own address are to be told of."""
    subscribe(api)
    render = accept(api, api.template(), webhook_url=RECEIVER)
    complete(claim(render))
    return render


def test_null_before_the_first_attempt(api, accept, ended):
    open_one = accept(api, api.template(), webhook_url=RECEIVER)
    assert shown(api, open_one)["webhook_deliveries"] is None
    claim(open_one)
    assert shown(api, open_one)["webhook_deliveries"] is None
    assert len(deliveries_of(ended)) == 2
    assert (shown(api, ended)["webhook_url"], shown(api, ended)["webhook_deliveries"]) == (RECEIVER, None)


def test_null_where_nobody_is_told(api, accept):
    render = accept(api, api.template())
    complete(claim(render))
    assert shown(api, render)["webhook_deliveries"] is None


def test_one_entry_for_each_attempt_the_oldest_first(api, ended):
    to_url, to_subscription = sorted(deliveries_of(ended), key=lambda each: each.url, reverse=True)
    refused = {"http_status": 503, "error": "The receiver answered 503.", "finished_at": Now()}
    rows = [
        attempt(to_subscription, 2, success=True, http_status=204, finished_at=Now(), created_at=START + 2 * MINUTE),
        attempt(to_url, 1, **refused, created_at=START + MINUTE),
        attempt(to_subscription, 1, **refused, created_at=START),
        attempt(to_url, 2, success=True, http_status=200, finished_at=Now(), created_at=START + 3 * MINUTE),
    ]
    kinds = ["global_webhook", "render_webhook", "global_webhook", "render_webhook"]
    expected = [
        {
            "id": row.id,
            "event_id": f"evt_render_{ended.id}",
            "source": source,
            "http_status": row.http_status,
            "success": row.success,
            "error": row.error,
            "created_at": iso(row.created_at),
        }
        for source, row in zip(kinds, sorted(rows, key=lambda row: row.created_at), strict=True)
    ]
    assert shown(api, ended)["webhook_deliveries"] == expected
    assert [each["http_status"] for each in expected] == [503, 503, 204, 200]


def test_attempts_of_the_same_moment_keep_their_order(api, ended):
    told = deliveries_of(ended)[0]
    ids = [attempt(told, number, created_at=START).id for number in (3, 1, 2)]
    assert [each["id"] for each in shown(api, ended)["webhook_deliveries"]] == sorted(ids)


@pytest.mark.parametrize(
    ("row", "error"),
    [({}, None), ({"finished_at": START, "error": "It was interrupted.", "error_code": "interrupted"}, ...)],
    ids=["under way", "interrupted"],
)
def test_an_attempt_without_an_answer_is_no_success(api, ended, row, error):
    made = attempt(deliveries_of(ended)[0], **row)
    entry = shown(api, ended)["webhook_deliveries"][0]
    assert (entry["id"], entry["success"], entry["http_status"]) == (made.id, False, None)
    assert entry["error"] == (row["error"] if error is ... else None)


def test_a_failed_render_shows_them_as_well(api, accept):
    render = accept(api, api.template(), webhook_url=RECEIVER)
    fail(claim(render))
    attempt(deliveries_of(render)[0], success=True, http_status=200, finished_at=Now())
    assert [each["success"] for each in shown(api, render)["webhook_deliveries"]] == [True]


def test_attempts_stay_when_the_subscription_is_deleted(api, ended):
    delivery = next(each for each in deliveries_of(ended) if each.subscription_id)
    attempt(delivery, success=True, http_status=200, finished_at=Now())
    gone = {"enabled": False, "secret": "", "deleted_at": Now()}
    type(delivery.subscription).objects.filter(pk=delivery.subscription_id).update(**gone)
    assert [each["source"] for each in shown(api, ended)["webhook_deliveries"]] == ["global_webhook"]


def test_other_renders_and_other_teams_do_not_show_them(api, other_api, accept, ended):
    attempt(deliveries_of(ended)[0])
    another = accept(api, api.template(), webhook_url=RECEIVER)
    complete(claim(another))
    assert shown(api, another)["webhook_deliveries"] is None
    assert other_api.get(f"/api/v1/renders/{ended.id}").status_code == 404


def test_a_read_takes_one_statement_more_once_it_has_ended_and_a_list_none(api, ended, django_assert_num_queries):
    for number in range(1, 6):
        attempt(deliveries_of(ended)[0], number)
        attempt(deliveries_of(ended)[1], number)
    api.get("/api/v1/credits")  # notes the key's use
    with django_assert_num_queries(3, connection=connection):
        assert len(shown(api, ended)["webhook_deliveries"]) == 10
    with django_assert_num_queries(2, connection=connection):
        listed = api.get("/api/v1/renders").json()["renders"]
    assert [("webhook_deliveries" in each, each["id"]) for each in listed] == [(False, ended.id)]


@pytest.mark.parametrize(
    "url", ["https://hooks.example/a?b=c#d", "https://hooks.example:8443/", "https://[2001:db8::1]/", None]
)
def test_an_address_is_taken_as_it_was_sent(api, url):
    created = api.post("/api/v1/renders", {"template_id": api.template(), "webhook_url": url})
    assert created.status_code == 202
    assert Render.objects.get(pk=created.json()["id"]).webhook_url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example/", "Must begin with https://."),
        ("HTTP://hooks.example/", "Must begin with https://."),
        ("ftp://hooks.example/", "Must begin with https://."),
        ("hooks.example", "Must begin with https://."),
        ("https://", "The URL has no valid host."),
        ("https://user:secret@hooks.example/", "The URL contains a user name or password."),
        ("https://user@hooks.example/", "The URL contains a user name or password."),
        ("https://hooks.example/a b", "The URL contains a space, a backslash or a control character."),
        ("https://hooks.example\\@127.0.0.1/", "The URL contains a space, a backslash or a control character."),
        ("https://127.1/", "The URL's host is neither a name nor an IPv4 address of four decimal numbers."),
        ("https://hooks.example:port/", "The URL cannot be read."),
        ("https://hooks.example/" + "a" * 2000, "Ensure this field has no more than 2000 characters."),
        ("", "This field may not be blank."),
        (5, "Must be a string."),
    ],
)
def test_an_address_that_cannot_be_called_is_422(api, nothing_changes, url, message):
    body = {"template_id": api.template(), "webhook_url": url}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()) == (422, {"error": f"webhook_url: {message}"})


def test_http_is_taken_where_the_operator_allows_it(api, nothing_changes, settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    template_id = api.template()
    for url in ("http://127.0.0.1:9000/hook", "https://hooks.example/"):
        assert api.post("/api/v1/renders", {"template_id": template_id, "webhook_url": url}).status_code == 202
    with nothing_changes(api):
        for url in ("ftp://127.0.0.1/", "httpx://a.example", "http:/a"):
            answer = api.post("/api/v1/renders", {"template_id": template_id, "webhook_url": url})
            assert (answer.status_code, answer.json()) == (422, {"error": "webhook_url: Must begin with https://."})
