"""What a receiver is sent and what becomes of its answer; one attempt in this process, the receiver is real."""

import socket
import time
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.models.functions import Now
from standardwebhooks import Webhook

from automette.lib.encryption import DecryptionError, encrypt
from tests.conftest import wait_until
from tests.lib.outbound_servers import Server, dripping, redirecting, saying
from tests.webhooks.receivers import (
    BODY,
    Gate,
    a_team,
    answering,
    attempt_at,
    attempts_of,
    change,
    deliver_to,
    end_lease,
    ids_at,
    make_due,
    reload,
    requests_of,
    subscribe,
    work_off,
)
from webhooks import delivery as sender
from webhooks import sending, statements
from webhooks.models import MAX_ANSWER_BYTES, Delivery
from webhooks.signing import new_secret
from webhooks.tasks import send_delivery

OK = b"HTTP/1.1 200 OK\r\n"
SOON = 0.4
STALE_AFTER = sender._STALE_AFTER


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings, database):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]


@pytest.fixture
def team():
    return a_team()


# --- what is sent


def test_the_bytes_and_headers_of_a_signed_delivery(team):
    receiver = answering()
    subscription = subscribe(team, f"{receiver.url}/in?team=7")
    delivery = deliver_to(subscription)
    before = int(time.time())
    delivery, attempt = attempt_at(delivery)
    [request] = requests_of(receiver)
    assert request.line == "POST /in?team=7 HTTP/1.1"
    assert request.body == BODY.encode()
    timestamp, signature = (request.headers.pop(f"webhook-{name}") for name in ("timestamp", "signature"))
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY.encode())),
        "user-agent": "Automette-Webhooks/1",
        "webhook-id": delivery.event_id,
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert before <= int(timestamp) <= int(time.time())
    headers = {"webhook-id": delivery.event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    assert Webhook(subscription.clear_secret.removeprefix("wh_")).verify(request.body, headers)["event_id"] == "x"
    assert (delivery.status, delivery.claim, delivery.failures) == ("delivered", 1, 0)
    assert (delivery.lease_expires_at, delivery.next_attempt_at, delivery.ring_at) == (None, None, None)
    assert attempt.created_at <= delivery.delivered_at == attempt.finished_at
    assert (attempt.success, attempt.http_status, attempt.answer, attempt.error) == (True, 200, "ok", None)


def test_what_goes_to_the_address_of_a_render_is_not_signed(team):
    receiver = answering("204 No Content", body=b"")
    delivery, attempt = attempt_at(deliver_to(receiver.url, team))
    [request] = requests_of(receiver)
    assert {name for name in request.headers if name.startswith("webhook-")} == {"webhook-id", "webhook-timestamp"}
    assert (delivery.status, attempt.http_status, attempt.url) == ("delivered", 204, receiver.url)


def test_after_a_rotation_both_secrets_sign_the_new_one_first(team):
    receiver, previous = answering(), new_secret()
    subscription = subscribe(team, receiver.url)
    kept = {"previous_secret": encrypt(previous, subscription.id)}
    change(subscription, **kept, previous_secret_until=Now() + statements.dt.timedelta(hours=1))
    attempt_at(deliver_to(subscription))
    change(subscription, previous_secret_until=Now())
    attempt_at(deliver_to(subscription))
    both, one = (request.headers["webhook-signature"].split(" ") for request in requests_of(receiver))
    assert (len(both), len(one)) == (2, 1)
    first, _ = requests_of(receiver)
    for secret, signature in zip((subscription.clear_secret, previous), both, strict=True):
        Webhook(secret.removeprefix("wh_")).verify(first.body, {**first.headers, "webhook-signature": signature})


def test_a_raw_key_signs_with_the_whole_secret(team):
    receiver = answering()
    subscription = subscribe(team, receiver.url, signature_key="raw")
    attempt_at(deliver_to(subscription))
    [request] = requests_of(receiver)
    Webhook(subscription.clear_secret.encode()).verify(request.body, request.headers)


def test_each_try_has_the_same_id_and_a_timestamp_and_signature_of_its_own(team, monkeypatch):
    receiver = answering("500 Internal Server Error")
    subscription = subscribe(team, receiver.url)
    delivery = deliver_to(subscription)
    for moment in (1_800_000_000, 1_800_000_100):
        monkeypatch.setattr(sending.time, "time", lambda moment=moment: moment + 0.9)
        attempt_at(make_due(delivery))
    first, second = (request.headers for request in requests_of(receiver))
    assert first["webhook-id"] == second["webhook-id"] == delivery.event_id
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1800000000", "1800000100")
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/\r\nwebhook-id: mine", "http://127.0.0.1:1/ HTTP/1.1\r\nwebhook-id: mine", "http://a b/"],
)
def test_an_address_cannot_bring_headers_along(team, url):
    delivery, attempt = attempt_at(deliver_to(url, team, receiver="x"))
    assert (delivery.status, attempt.error_code) == ("pending", "refused_url")


def test_nothing_that_the_team_writes_becomes_a_header(team):
    receiver = answering()
    body = '{"webhook-id":"mine","data":{"headers":{"webhook-id":"mine"},"x":"\\r\\nwebhook-id: mine"}}'
    delivery, _ = attempt_at(deliver_to(f"{receiver.url}/%0d%0awebhook-id:%20mine?webhook-id=mine", team, body=body))
    [request] = requests_of(receiver)  # refuses a header that comes twice
    assert request.headers["webhook-id"] == delivery.event_id
    assert request.body == body.encode()


def test_a_secret_that_cannot_be_read_is_no_failure_of_the_receiver(team):
    receiver = answering()
    subscription = change(subscribe(team, receiver.url), secret="k9:AAAA")
    delivery = deliver_to(subscription)
    with pytest.raises(DecryptionError, match="'k9' is not known here"):
        work_off(delivery)
    reload(delivery)
    assert (delivery.status, delivery.failures, receiver.requests) == ("sending", 0, [])
    change(subscription, secret=encrypt(new_secret(), subscription.id))
    delivery, _ = attempt_at(end_lease(delivery))
    assert delivery.status == "delivered"


# --- running it twice


def test_a_delivery_that_is_rung_for_twice_is_sent_once(team):
    receiver = answering()
    delivery = deliver_to(subscribe(team, receiver.url))
    for _ in range(3):
        work_off(delivery)
    assert ids_at(receiver) == [delivery.event_id]
    assert (reload(delivery).status, len(attempts_of(delivery))) == ("delivered", 1)


def test_a_second_worker_does_not_send_what_is_being_sent(team):
    gate = Gate()
    delivery = deliver_to(subscribe(team, gate.url))
    first = sender.deliver(delivery.id, ring=pytest.fail)
    wait_until(lambda: gate.waiting == 1)
    assert sender.deliver(delivery.id, ring=pytest.fail) is None
    gate.open()
    first.result(60)
    assert (ids_at(gate.server), reload(delivery).status) == ([delivery.event_id], "delivered")


def test_a_delivery_whose_render_was_deleted_meanwhile_ends_quietly(team):
    gate = Gate()
    delivery = deliver_to(subscribe(team, gate.url))
    sending_it = sender.deliver(delivery.id, ring=pytest.fail)
    wait_until(lambda: gate.waiting == 1)
    delivery.event.delete()
    gate.open()
    sending_it.result(60)
    assert sender.deliver(delivery.id, ring=pytest.fail) is None
    assert len(gate.server.requests) == 1
    assert not Delivery.objects.filter(pk=delivery.pk).exists()


def test_a_worker_that_was_suspended_after_its_claim_sends_nothing(team, monkeypatch):
    receiver = answering()
    delivery = deliver_to(subscribe(team, receiver.url))
    real, late = statements.claim, statements.LEASE_MARGIN_SECONDS

    def claim_slowly(delivery_id):
        taken = real(delivery_id)
        monkeypatch.setattr(sender, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late))
        return taken

    monkeypatch.setattr(sender, "_STALE_AFTER", STALE_AFTER)
    monkeypatch.setattr(statements, "claim", claim_slowly)
    assert work_off(delivery) == []
    assert (receiver.requests, reload(delivery).status) == ([], "sending")


def test_after_its_turn_a_worker_rings_for_the_next_instead(team, monkeypatch):
    receiver = answering()
    subscription = subscribe(team, receiver.url)
    first, second, third = (deliver_to(subscription) for _ in range(3))
    monkeypatch.setattr(sender, "_TURN_SECONDS", 0.0)
    assert work_off(first) == [second.id]
    assert [one.status for one in reload(first, second, third)] == ["delivered", "pending", "pending"]
    monkeypatch.setattr(sender, "_TURN_SECONDS", 1000.0)
    assert work_off(second) == []
    assert ids_at(receiver) == [one.event_id for one in (first, second, third)]


# --- answers


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "299 Odd"])
def test_every_2xx_is_a_success(team, status):
    delivery, attempt = attempt_at(deliver_to(answering(status, body=b"").url, team))
    assert (delivery.status, attempt.success, attempt.http_status) == ("delivered", True, int(status[:3]))


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "500 Oops", "503 Busy", "999 Odd"])
def test_other_answers_are_failures(team, status):
    delivery, attempt = attempt_at(deliver_to(answering(status, body=b"why").url, team))
    assert (delivery.status, delivery.failures, delivery.delivered_at) == ("pending", 1, None)
    assert (attempt.success, attempt.http_status, attempt.answer) == (False, int(status[:3]), "why")
    assert (attempt.error_code, attempt.error) == ("http_error", f"The receiver answered {status[:3]}.")


@pytest.mark.parametrize(
    "status",
    ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"],
)
def test_a_redirect_is_a_failure_and_not_followed(team, status):
    target = answering()
    receiver = Server(redirecting(f"{target.url}/", status))
    delivery, attempt = attempt_at(deliver_to(receiver.url, team))
    assert (delivery.status, attempt.http_status, attempt.error_code) == ("pending", int(status[:3]), "redirect")
    assert attempt.error == f"The receiver answered {status[:3]}; redirects are not followed."
    assert (len(receiver.requests), target.requests) == (1, [])


def test_the_first_4_kb_of_the_answer_are_kept_as_text(team):
    long = "é".encode() * MAX_ANSWER_BYTES
    for content, kept in (
        (b"a\0b\xff\xc3", "ab��"),
        (b"x" * 4096 + b"y", "x" * 4096),
        (b"x" + long, "x" + "é" * 2047 + "�"),
    ):
        _, attempt = attempt_at(deliver_to(answering(body=content).url, team))
        assert (attempt.answer, attempt.success) == (kept, True)


def test_a_huge_answer_is_not_read(team):
    pieces = []

    def flood(peer, _):
        peer.sendall(OK + b"Content-Length: 10000000000\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)
            pieces.append(65536)

    _, attempt = attempt_at(deliver_to(Server(flood).url, team))
    assert (attempt.success, attempt.answer) == (True, "x" * 4096)
    assert sum(pieces) < 30_000_000


def test_a_compressed_answer_is_not_inflated(team):
    receiver = answering("200 OK", "Content-Encoding: gzip", body=b"\x1f\x8b bomb")
    _, attempt = attempt_at(deliver_to(receiver.url, team))
    assert (attempt.success, attempt.answer) == (True, "")


# --- receivers that do not come to an end


SLOW = {
    "says nothing": lambda peer, _: peer.recv(1),
    "drips its status": dripping(b"HTTP/1.1 200 ", b"x"),
    "drips headers": dripping(OK, b"X-Slow: 1\r\n"),
    "drips a header": dripping(OK + b"X-Slow: ", b"x"),
    "drips its body": dripping(OK + b"Content-Length: 900\r\n\r\n", b"x"),
    "drips an endless body": dripping(OK + b"\r\n", b"x"),
    "says to continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_the_deadline_holds_whatever_the_receiver_does(team, settings, name):
    settings.WEBHOOK_SECONDS = SOON
    delivery, attempt = attempt_at(deliver_to(Server(SLOW[name]).url, team))  # comes back: the thread is free
    assert (delivery.status, delivery.failures) == ("pending", 1)
    assert (attempt.success, attempt.http_status, attempt.error_code) == (False, None, "timeout")
    assert attempt.error == "127.0.0.1 did not answer in time."
    assert attempt.milliseconds >= SOON * 1000 - 50


@pytest.mark.parametrize("piece", [b"X: y\r\n", b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n" * 99])
def test_endless_headers_are_cut_off(team, piece):
    sent = []

    def flood(peer, _):
        peer.sendall(b"" if piece.startswith(b"HTTP") else OK + b"X-Flood: ")
        while True:
            peer.sendall(piece)
            sent.append(len(piece))

    delivery, attempt = attempt_at(deliver_to(Server(flood).url, team))
    assert (delivery.status, attempt.success) == ("pending", False)
    assert attempt.error_code in {"protocol", "too_large"}
    assert sum(sent) < 30_000_000


@pytest.mark.parametrize(
    ("respond", "code"),
    [
        (lambda *_: None, "protocol"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
        (saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "protocol"),
    ],
    ids=["hangs up", "no HTTP", "another protocol"],
)
def test_what_is_no_answer_is_a_failure(team, respond, code):
    delivery, attempt = attempt_at(deliver_to(Server(respond).url, team))
    assert (delivery.status, attempt.error_code, attempt.http_status) == ("pending", code, None)


def test_nobody_there_is_a_failure(team):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and never listens: nor can anybody else meanwhile
        _, attempt = attempt_at(deliver_to(f"http://127.0.0.1:{silent.getsockname()[1]}", team))
    assert (attempt.error_code, attempt.error) == ("connect", "127.0.0.1 does not accept connections.")


def test_what_breaks_the_http_library_is_a_failure_too(team, monkeypatch):
    def break_down(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(sending.sender, "post", break_down)
    delivery, attempt = attempt_at(deliver_to(answering().url, team))
    assert (delivery.status, delivery.failures, attempt.error_code) == ("pending", 1, "internal")
    assert attempt.error == "The attempt failed on our side. It is tried again."


def test_no_connection_to_the_database_is_held_while_a_receiver_takes_its_time(team):
    gate = Gate()
    delivery = deliver_to(subscribe(team, gate.url))
    send_delivery(delivery_id=delivery.id)
    wait_until(lambda: gate.waiting == 1)
    wait_until(lambda: connections_in_use() == 0)
    gate.open()
    wait_until(lambda: reload(delivery).status == "delivered")


def connections_in_use() -> int:
    stats = connection.pool.get_stats()
    return stats["pool_size"] - stats["pool_available"]
