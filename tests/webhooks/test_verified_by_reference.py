"""From a render to a receiver: what is captured on the wire is verified by the library that subscribers use."""

import datetime as dt
import json

import pytest
import requests
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.services import create_api_key, create_team
from credits.services import open_account
from tests.conftest import HELLO, Processes, is_ready, wait_until
from tests.lib.outbound_servers import Server, answer, saying
from tests.renders.faults import own_broker, own_database
from tests.webhooks.deliveries import deliver
from tests.webhooks.receivers import requests_of
from webhooks.models import Delivery, Subscription

pytestmark = pytest.mark.timeout(400)
LOCAL = {"OUTBOUND_ALLOW_HTTP": "true", "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def application(database, test_environment, tmp_path_factory):
    """Web, a worker that renders and one that sends; no other sweeper may hand their work to another worker."""
    with own_database() as url, own_broker() as broker:
        own = {"DATABASE_URL": url, "REDIS_URL": broker.url, **LOCAL}
        yield from _running(Processes(tmp_path_factory.mktemp("verified")), own)


def _running(started: Processes, own: dict[str, str]):
    try:
        base = started.web(**own)
        started.worker(PUBLIC_URL=base, CDN_BASE_URL=base, **own)
        started.worker("webhooks", queues="webhooks", **own)
        wait_until(lambda: is_ready(base), 100)
        yield base
    except pytest.fail.Exception:
        print(*(f"--- {one.log}\n{one.log.read_text()[-3000:]}" for one in started.running), sep="\n")
        raise
    finally:
        started.stop()


class Subscriber:
    """A team that calls the API over the network, and its receiver on loopback."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.team = create_team(name="A subscriber", actor="test")
        open_account(team=self.team, monthly_credits=100, actor="test")
        _, self.key = create_api_key(team=self.team, actor="test")
        self.server = Server(saying(answer(b"thanks")))

    def call(self, method: str, path: str, body=None, status=200):
        headers = {"Authorization": f"Bearer {self.key}"}
        told = requests.request(method, f"{self.base}/api/v1/{path}", json=body, headers=headers, timeout=60)
        assert told.status_code == status, told.text
        return told.json()

    def subscribe(self, path: str, **more):
        body = {"url": f"{self.server.url}/{path}?a=b", "events": ["render.completed", "render.failed"], **more}
        return self.call("POST", "webhooks", body, 201)

    def render(self, source=HELLO, status=200, **more):
        body = {"name": "Hello", "engine": "typst", "source": source}
        template = self.call("POST", "templates", body, 201)
        return self.call("POST", "renders", {"template_id": template["id"], "async": False, **more}, status)

    def received(self, count: int):
        """All that has come, once there is as much of it."""
        wait_until(lambda: len(self.server.requests) >= count, 90)
        found = requests_of(self.server)
        assert len(found) == count
        return found


@pytest.fixture
def subscriber(application):
    subscriber = Subscriber(application)
    yield subscriber
    subscriber.server.listener.close()


def verified(request, secret: str):
    """As in docs/webhooks.md."""
    return Webhook(secret.removeprefix("wh_")).verify(request.body, request.headers)


def is_signed_with(request, secret: str) -> bool:
    try:
        verified(request, secret)
    except WebhookVerificationError:
        return False
    return True


def test_end_of_a_render_is_verified_to_the_byte(subscriber):
    created = subscriber.subscribe("hooks")
    render = subscriber.render(data={"name": "Ünï ✓", "n": 1.0})
    [request] = subscriber.received(1)
    event = verified(request, created["secret"])
    assert request.line == "POST /hooks?a=b HTTP/1.1"
    assert request.headers["webhook-id"] == event["event_id"] == f"evt_render_{render['id']}"
    told = {name: event[name] for name in ("event", "render_id", "status", "url", "data")}
    assert told == {
        "event": "render.completed",
        "render_id": render["id"],
        "status": "completed",
        "url": render["url"],
        "data": {"name": "Ünï ✓", "n": 1.0},
    }
    assert "Ünï ✓".encode() in request.body
    for place in (0, len(request.body) // 2, len(request.body) - 1):
        changed = bytearray(request.body)
        changed[place] = ord("x") if changed[place] != ord("x") else ord("y")
        assert not is_signed_with(request._replace(body=bytes(changed)), created["secret"])


def test_failed_render_is_told_and_verified(subscriber):
    created = subscriber.subscribe("hooks", events=["render.failed"])
    subscriber.render()
    failed = subscriber.render("#if sys.inputs.len() > 0 { panic() }", 422, data={"a": "b"})
    [request] = subscriber.received(1)
    event = verified(request, created["secret"])
    assert (event["event"], event["render_id"], event["error"]) == ("render.failed", failed["id"], failed["error"])


def test_raw_key_is_the_whole_secret(subscriber):
    created = subscriber.subscribe("raw", signature_key="raw")
    subscriber.render()
    [request] = subscriber.received(1)
    assert Webhook(created["secret"].encode()).verify(request.body, request.headers)["event"] == "render.completed"
    assert not is_signed_with(request, created["secret"])


def test_address_of_a_render_gets_the_same_bytes_unsigned(subscriber):
    created = subscriber.subscribe("signed")
    subscriber.render(webhook_url=f"{subscriber.server.url}/unsigned")
    signed, unsigned = sorted(subscriber.received(2), key=lambda request: request.line)
    assert verified(signed, created["secret"])
    assert "webhook-signature" not in unsigned.headers
    assert signed.body == unsigned.body


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one(subscriber):
    created = subscriber.subscribe("hooks")
    rotated = subscriber.call("POST", f"webhooks/{created['id']}/rotate_secret")
    subscriber.render()
    request = subscriber.received(1)[0]
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    assert is_signed_with(request, rotated["secret"])
    assert is_signed_with(request, created["secret"])
    long_ago = timezone.now() - dt.timedelta(seconds=1)
    Subscription.objects.filter(pk=created["id"]).update(previous_secret_until=long_ago)
    subscriber.call("POST", f"webhooks/{created['id']}/test", status=202)
    request = subscriber.received(2)[1]
    assert is_signed_with(request, rotated["secret"])
    assert not is_signed_with(request, created["secret"])


def delivered(subscriber, delivery_id, attempts):
    def found():
        told = subscriber.call("GET", f"webhook_deliveries/{delivery_id}")
        return told if told["status"] == "delivered" and len(told["attempts"]) == attempts else None

    return wait_until(found, 60)


def test_redelivery_has_the_same_id_and_body_and_is_signed_anew(subscriber):
    created = subscriber.subscribe("hooks")
    subscriber.render()
    subscriber.received(1)
    [row] = subscriber.call("GET", f"webhooks/{created['id']}/deliveries")["deliveries"]
    first = delivered(subscriber, row["id"], 1)
    rotated = subscriber.call("POST", f"webhooks/{created['id']}/rotate_secret")
    subscriber.call("POST", f"webhook_deliveries/{row['id']}/redeliver", status=202)
    before, again = subscriber.received(2)
    assert (again.body, again.headers["webhook-id"]) == (before.body, before.headers["webhook-id"])
    assert is_signed_with(before, created["secret"])
    assert not is_signed_with(before, rotated["secret"])
    assert verified(again, rotated["secret"]) == json.loads(first["body"])
    told = delivered(subscriber, row["id"], 2)
    assert told["delivered_at"] == first["delivered_at"]
    assert [(each["number"], each["manual"], each["http_status"], each["answer"]) for each in told["attempts"]] == [
        (2, True, 200, "thanks"),
        (1, False, 200, "thanks"),
    ]


def test_what_was_missed_while_it_was_disabled_comes_when_it_is_asked_for(subscriber):
    created = subscriber.subscribe("hooks", url="http://127.0.0.1:9/closed")
    subscriber.render()
    wait_until(lambda: Delivery.objects.filter(subscription_id=created["id"], failures__gt=0).exists(), 60)
    path = f"webhooks/{created['id']}"
    assert subscriber.call("PATCH", path, {"enabled": False})["disabled_reason"] == "The team disabled it."
    wait_until(lambda: Delivery.objects.filter(subscription_id=created["id"], status="suspended").exists(), 60)
    subscriber.call("PATCH", path, {"enabled": True, "url": subscriber.server.url})
    since = {"since": created["created_at"]}
    assert subscriber.call("POST", f"{path}/redeliver", since, 202) == {"id": created["id"], "redelivered": 1}
    [request] = subscriber.received(1)
    assert verified(request, created["secret"])["event"] == "render.completed"


def test_many_that_were_missed_all_come_although_few_are_rung_for(subscriber):
    """More than are sent at the same time, and no sweeper: whoever has sent one goes on with the next."""
    created = subscriber.subscribe("hooks")
    subscription = Subscription.objects.get(pk=created["id"])
    missed = [deliver(subscription, status=status).event_id for status in ("failed", "suspended") * 10]
    told = subscriber.call("POST", f"webhooks/{created['id']}/redeliver", {"since": created["created_at"]}, 202)
    assert told["redelivered"] == 20
    found = subscriber.received(20)
    assert {request.headers["webhook-id"] for request in found} == set(missed)
    assert all(is_signed_with(request, created["secret"]) for request in found)
    rows = Delivery.objects.filter(subscription=subscription)
    wait_until(lambda: {(row.status, row.manual) for row in rows.all()} == {("delivered", False)}, 60)
