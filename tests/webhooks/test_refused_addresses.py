"""Webhooks reach public addresses only: each attack with the connect call watched, and nothing on loopback is hit.

The rules themselves, and what else has fooled others, are tested in tests/lib/test_outbound_*.py.
"""

from ipaddress import ip_address

import pytest

from tests.lib.outbound_servers import Names, watched_connects
from tests.lib.test_outbound_addresses import HOLES_OF_IS_GLOBAL, REFUSED
from tests.lib.test_outbound_guard import PUBLIC, REFUSED_HOSTS, REFUSED_URLS
from tests.webhooks.receivers import a_team, answering, attempt_at, deliver_to, make_due, sending_with, subscribe

SENTENCE = "is not a public address on port 80 or 443; ask the operator to allow its network."
ADDRESSES = {name: address for name, address in REFUSED.items() if "%" not in address and address[-1:].isalnum()}


@pytest.fixture(autouse=True)
def _http_is_allowed(settings, database):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = []


@pytest.fixture
def team():
    return a_team()


@pytest.fixture
def connects():
    with watched_connects() as seen:
        yield seen


def refused(delivery) -> tuple[str, str]:
    """Make the attempt, see that it failed like any other, and return its error code and sentence."""
    delivery, attempt = attempt_at(delivery)
    assert (delivery.status, delivery.failures, delivery.delivered_at) == ("pending", 1, None)
    assert (attempt.success, attempt.http_status, attempt.answer) == (False, None, "")
    assert attempt.finished_at is not None
    return attempt.error_code, attempt.error


@pytest.mark.parametrize("name", ADDRESSES)
def test_bad_address_in_the_url_is_refused(team, connects, monkeypatch, name):
    address = ADDRESSES[name]
    with sending_with(monkeypatch, lookup=Names(localhost=[["::1"]])):
        code, _ = refused(deliver_to(f"http://[{address}]/" if ":" in address else f"http://{address}/", team))
    assert code in {"refused_address", "refused_url"}
    assert connects == []


@pytest.mark.parametrize("name", REFUSED)
def test_name_of_a_bad_address_is_refused(team, connects, monkeypatch, name):
    subscription = subscribe(team, "https://internal.example/hook?token=secret")
    with sending_with(monkeypatch, lookup=Names(internal_example=[[REFUSED[name]]])):
        assert refused(deliver_to(subscription)) == ("refused_address", f"internal.example {SENTENCE}")
    assert connects == []
    subscription.refresh_from_db()
    assert subscription.failure_count == 1


@pytest.mark.parametrize("name", HOLES_OF_IS_GLOBAL)
def test_control_with_is_global_the_bad_address_is_dialled(team, connects, monkeypatch, name):
    address = REFUSED[name]
    weak = {
        "lookup": Names(internal_example=[[address]]),
        "judge": lambda *dialled: ip_address(dialled[0]).is_global,
    }
    with sending_with(monkeypatch, **weak):
        assert refused(deliver_to("https://internal.example/", team))[0] == "connect"
    assert connects == [(address, 443)]


@pytest.mark.parametrize("url", [url for url in REFUSED_URLS if "\0" not in url and url])
def test_url_that_two_readers_could_read_differently_is_refused(team, connects, monkeypatch, url):
    with sending_with(monkeypatch, lookup=Names()):
        assert refused(deliver_to(url, team, receiver="x"))[0] == "refused_url"
    assert connects == []


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_every_way_to_write_loopback_is_refused_and_reaches_nobody(team, connects, host):
    receiver = answering()
    assert refused(deliver_to(f"http://{host}:{receiver.port}/", team))[0] == "refused_address"
    assert (connects, receiver.requests) == ([], [])


def test_control_where_the_operator_allows_it_the_same_receiver_is_reached(team, settings, connects):
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    receiver = answering()
    delivery, _ = attempt_at(deliver_to(f"http://127.0.0.1:{receiver.port}/", team))
    assert (delivery.status, len(receiver.requests)) == ("delivered", 1)
    assert connects == [("127.0.0.1", receiver.port)]


@pytest.mark.parametrize(
    "answers", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["2606:4700::1111", "::1", PUBLIC]]
)
def test_one_bad_answer_refuses_the_name(team, connects, monkeypatch, answers):
    with sending_with(monkeypatch, lookup=Names(mixed_example=[answers])):
        assert refused(deliver_to("https://mixed.example/", team))[0] == "refused_address"
    assert connects == []


@pytest.mark.parametrize("port", [0, 22, 25, 5432, 6379, 8080])
def test_other_ports_are_refused(team, connects, monkeypatch, port):
    with sending_with(monkeypatch, lookup=Names(public_example=[[PUBLIC]])):
        assert refused(deliver_to(f"http://public.example:{port}/", team))[0] == "refused_address"
    assert connects == []


def test_rebinding_name_finds_no_moment_between_check_and_connection(team, connects, monkeypatch):
    """Only what was judged is dialled, also when a later try remembers the name, or looks it up anew."""
    names = Names(rebinding_example=[[PUBLIC], ["127.0.0.1"]])
    delivery = deliver_to("http://rebinding.example/", team)
    with sending_with(monkeypatch, lookup=names):
        assert refused(delivery)[0] == "connect"
        assert attempt_at(make_due(delivery))[1].error_code == "connect"
        assert (names.asked, set(connects)) == (1, {(PUBLIC, 80)})
    with sending_with(monkeypatch, lookup=names):
        assert attempt_at(make_due(delivery))[1].error_code == "refused_address"
    assert (names.asked, set(connects)) == (2, {(PUBLIC, 80)})


def test_address_that_is_judged_well_first_is_judged_again_when_it_is_dialled(team, connects, monkeypatch):
    judgements = iter([True, False])
    weak = {"lookup": Names(a_example=[["127.0.0.1"]]), "judge": lambda *_: next(judgements)}
    with sending_with(monkeypatch, **weak):
        assert refused(deliver_to("https://a.example/", team))[0] == "refused_address"
    assert connects == []


def test_http_needs_the_operators_word(team, settings, connects):
    settings.OUTBOUND_ALLOW_HTTP = False
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    receiver = answering()
    assert refused(deliver_to(receiver.url, team)) == (
        "refused_url",
        "The URL must start with https://; http is not allowed here.",
    )
    assert (connects, receiver.requests) == ([], [])


def test_no_proxy_of_the_environment_is_asked(team, settings, connects, monkeypatch):
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    proxy, receiver = answering(), answering()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    with sending_with(monkeypatch):
        attempt_at(deliver_to(receiver.url, team))
    assert (len(receiver.requests), proxy.requests) == (1, [])
