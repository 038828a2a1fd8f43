"""Who is told of a render's end: written by the statement that ends it, exactly once, or not at all."""

import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection
from django.db.models.functions import Now

from credits.models import LedgerEntry
from renders import statements
from renders.models import Job, Render
from tests.webhooks.ended import RECEIVER, claim, complete, deliveries_of, events_of, fail, subscribe
from webhooks.models import Delivery, Event

pytestmark = pytest.mark.usefixtures("own_rows")
ENDS = {"render.completed": complete, "render.failed": fail}


@pytest.fixture
def render(api, accept) -> Render:
    return accept(api, api.template())


def written(render: Render) -> tuple[int, int]:
    return len(events_of(render)), len(deliveries_of(render))


@pytest.mark.parametrize("end", ENDS.values())
def test_without_a_receiver_nothing_is_written(render, end):
    assert end(claim(render)) == statements.Ended([])
    assert written(render) == (0, 0)


@pytest.mark.parametrize("name", ENDS)
def test_a_subscription_is_told(api, render, name):
    subscription = subscribe(api, name)
    ended = ENDS[name](claim(render))
    event, delivery = events_of(render)[0], deliveries_of(render)[0]
    assert (event.id, event.team_id, event.name) == (f"evt_render_{render.id}", api.team.id, name)
    assert ended == statements.Ended([delivery.id])
    assert Delivery.objects.filter(pk=delivery.pk).values().get() == {
        "id": delivery.id,
        "team_id": api.team.id,
        "event_id": event.id,
        "subscription_id": subscription.id,
        "url": "",
        "receiver": subscription.id,
        "status": "pending",
        "manual": False,
        "claim": 0,
        "failures": 0,
        "lease_expires_at": None,
        "next_attempt_at": delivery.created_at,
        "ring_at": delivery.created_at + dt.timedelta(seconds=5),
        "delivered_at": None,
        "created_at": delivery.created_at,
    }
    render.refresh_from_db()
    assert delivery.created_at == event.created_at == render.finished_at


def test_ids_of_deliveries_are_ids_and_follow_each_other(api, accept):
    for _ in range(3):
        subscribe(api)
    first, second = accept(api, api.template()), accept(api, api.template())
    before = complete(claim(first)).delivery_ids
    after = complete(claim(second)).delivery_ids
    assert len({*before, *after}) == 6
    assert all(re.fullmatch(r"c[0-9a-z]{24}", each) for each in (*before, *after))
    assert max(each[:9] for each in before) <= min(each[:9] for each in after)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        (RECEIVER, "https://127.0.0.1"),
        ("https://Hooks.Example/A?b=C#d", "https://hooks.example"),
        ("https://hooks.example:8443?a=https://other.example/", "https://hooks.example:8443"),
        ("http://[::1]:8080/a", "http://[::1]:8080"),
        ("https://hooks.example#/a", "https://hooks.example"),
        ("nonsense", ""),  # what was accepted before addresses were checked must not keep a render from its end
        (f"https://{'x' * 400}/a", f"https://{'x' * 292}"),
    ],
)
def test_the_address_that_came_with_a_render_is_told(api, accept, url, receiver):
    render = accept(api, api.template(), webhook_url=url)
    complete(claim(render))
    assert [(each.url, each.receiver, each.subscription_id) for each in deliveries_of(render)] == [
        (url, receiver, None)
    ]


@pytest.mark.parametrize("end", ENDS.values())
def test_everybody_is_told_of_one_event(api, accept, end):
    subscriptions = {subscribe(api, *ENDS).id, subscribe(api, "form.submitted", *ENDS).id}
    render = accept(api, api.template(), webhook_url=RECEIVER)
    ended = end(claim(render))
    told = deliveries_of(render)
    assert {each.subscription_id for each in told} == {None, *subscriptions}
    assert sorted(ended.delivery_ids) == sorted(each.id for each in told)
    assert written(render) == (1, 3)


@pytest.mark.parametrize("name", ENDS)
def test_who_asked_for_other_events_is_not_told(api, render, name):
    subscribe(api, *({"form.submitted", *ENDS} - {name}))
    assert ENDS[name](claim(render)) == statements.Ended([])
    assert written(render) == (0, 0)


@pytest.mark.parametrize(
    "state",
    [{"enabled": False}, {"enabled": False, "secret": "", "deleted_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}],
    ids=["disabled", "deleted"],
)
@pytest.mark.parametrize("end", ENDS.values())
def test_a_disabled_or_deleted_subscription_is_not_told(api, render, end, state):
    subscribe(api, *ENDS, **state)
    assert end(claim(render)) == statements.Ended([])
    assert written(render) == (0, 0)


@pytest.mark.parametrize(
    ("guard", "subscription"),
    [
        ("subscription.enabled AND ", {"enabled": False}),
        (" AND happened.name = ANY(subscription.events)", {"events": ["form.submitted"]}),
    ],
)
def test_without_the_guard_somebody_would_be_told_too_much(api, render, monkeypatch, guard, subscription):
    """The control of the two tests above."""
    subscribe(api, **subscription)
    unguarded = statements._COMPLETE.replace(guard, "")
    assert unguarded != statements._COMPLETE
    monkeypatch.setattr(statements, "_COMPLETE", unguarded)
    assert len(complete(claim(render)).delivery_ids) == 1


@pytest.mark.parametrize("end", ENDS.values())
def test_another_team_is_not_told(other_api, render, end):
    subscribe(other_api, *ENDS)
    assert end(claim(render)) == statements.Ended([])
    assert Event.objects.filter(team=other_api.team).count() == written(render)[0] == 0


@pytest.mark.parametrize("source", Job.Source.values)
@pytest.mark.parametrize("name", ENDS)
def test_it_does_not_matter_what_caused_a_render(api, render, source, name):
    Job.objects.filter(pk=render.job_id).update(source=source)
    subscribe(api, name)
    assert len(ENDS[name](claim(render)).delivery_ids) == 1


def test_who_subscribes_while_it_is_rendered_is_told(api, render):
    taken = claim(render)
    subscribe(api)
    assert len(complete(taken).delivery_ids) == 1


def test_an_overtaken_attempt_tells_nobody(api, render):
    subscribe(api, *ENDS)
    late = statements.claim(render.id, lease_seconds=0)
    Render.objects.filter(pk=render.pk).update(lease_expires_at=Now() - dt.timedelta(seconds=1))
    now = claim(render)
    assert (complete(late), fail(late)) == (None, None)
    assert written(render) == (0, 0)
    assert len(complete(now).delivery_ids) == 1
    assert (complete(now), fail(now), complete(late)) == (None, None, None)
    assert written(render) == (1, 1)


def test_workers_that_end_a_render_at_the_same_moment_make_one_event(api, accept):
    subscribe(api, *ENDS)
    template_id = api.template()
    for _ in range(10):
        render = accept(api, template_id, webhook_url=RECEIVER)
        taken = claim(render)
        ended = [each for each in at_once(taken, [complete, fail] * 4) if each is not None]
        assert [len(each.delivery_ids) for each in ended] == [2]
        assert written(render) == (1, 2)
        render.refresh_from_db()
        assert events_of(render)[0].name == f"render.{render.status}"


def at_once(taken, ends) -> list:
    together = threading.Barrier(len(ends))

    def run(end):
        together.wait()
        try:
            return end(taken)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(ends)) as threads:
        return list(threads.map(run, ends))


@pytest.mark.parametrize("end", ENDS.values())
def test_end_event_and_credit_are_there_together_or_not_at_all(api, render, end):
    subscribe(api, *ENDS)
    taken = claim(render)
    in_the_way = Event.objects.create(id=f"evt_render_{render.id}", team=api.team, name="x", body="{}")
    with pytest.raises(IntegrityError, match="webhooks_event_pkey"):
        end(taken)
    render.refresh_from_db()
    assert (render.status, written(render), api.credits(), render.files.count()) == ("running", (0, 0), 99, 0)
    in_the_way.delete()
    assert end(taken)
    assert written(render) == (1, 1)


def test_the_event_is_written_by_the_one_statement_that_ends_the_render(api, render, django_assert_num_queries):
    subscribe(api)
    taken = claim(render)
    with django_assert_num_queries(1, connection=connection):
        complete(taken)
    assert written(render) == (1, 1)


def test_a_team_with_fifty_subscriptions_and_many_renders_loses_none(api, accept):
    for _ in range(50):
        subscribe(api)
    render = accept(api, api.template(), webhook_url=RECEIVER)
    assert len(set(complete(claim(render)).delivery_ids)) == 51
    assert written(render) == (1, 51)


@pytest.mark.parametrize("state", ["pending", "running"])
def test_nobody_is_told_of_the_end_that_a_deletion_makes(api, accept, state):
    subscribe(api, *ENDS)
    render = accept(api, api.template(), webhook_url=RECEIVER)
    if state == "running":
        claim(render)
    assert statements.cancel(render.id, error="The render was deleted.") is True
    assert statements.cancel(render.id, error="again") is False
    render.refresh_from_db()
    assert (render.status, render.error, written(render)) == ("failed", "The render was deleted.", (0, 0))
    refunds = LedgerEntry.objects.filter(render_id=render.id, kind="refund")
    assert [(each.amount, each.actor) for each in refunds] == [(1, "render deleted")]
    assert api.credits() == 100
