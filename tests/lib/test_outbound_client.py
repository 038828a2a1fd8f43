"""What is sent, what comes back, redirects, and nothing from the environment."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import pytest

from automette.lib.outbound import OutboundClient, OutboundError, fetch_all
from tests.lib.outbound_servers import Names, Server, answer, call, dripping, redirecting, refusal, saying


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]


@pytest.fixture
def server() -> Server:
    return Server(saying(answer(b"hello", "201 Created", "X-Kind: test")))


def head(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_answer_is_status_headers_and_body(server):
    started = time.monotonic()
    got = call(f"{server.url}/a")
    assert (got.status, got.body, got.url) == (201, b"hello", f"{server.url}/a")
    assert got.headers["x-kind"] == "test"
    assert 0 <= got.milliseconds <= 1000 * (time.monotonic() - started) + 1


def test_webhook_is_sent_byte_for_byte(server):
    body = '{"text": "ä\u2028 \\u0000"}  \n'.encode()
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1", "User-Agent": "Automette-Webhooks"}
    call(f"{server.url}/hook", "POST", body=body, headers=headers, keep_bytes=4096)
    assert server.requests[0].startswith(b"POST /hook HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\n" + body)
    assert head(server.requests[0]) == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "user-agent": "Automette-Webhooks",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
        "connection": "close",
    }


@pytest.mark.parametrize(
    "target", ["/a%2Fb/../c%7e?X-Credential=k%2F2026&sig=a%2Bb+c%3D&x", "/?", "/a?q='\"<>|^`{}", "/%zz", "/a//b"]
)
def test_signed_path_and_query_arrive_as_written(server, target):
    call(f"{server.url}{target}#fragment")
    assert server.requests[0].split(b" ")[1].decode() == (target if target != "/?" else "/")


def test_path_that_is_not_ascii_is_percent_encoded(server):
    call(f"{server.url}/ä?ö=ü")
    assert server.requests[0].startswith(b"GET /%C3%A4?%C3%B6=%C3%BC HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Evil", "a\r\nX-More: b"),
        ("X-Evil", "a\nb"),
        ("X-Evil", "a\x00b"),
        ("X-Evil", "ä"),
        ("X Evil", "a"),
        ("X-Evil\r\nX", "a"),
        ("X-Evil:", "a"),
        ("", "a"),
        ("Host", "other.example"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Cookie", "a=b"),
        ("Connection", "upgrade"),
        ("Accept-Encoding", "gzip"),
    ],
)
def test_header_that_would_change_the_request_is_refused(server, name, value):
    assert refusal(server.url, headers={name: value}).code == "refused_header"
    assert server.requests == []


def test_body_is_kept_up_to_the_size_asked_for(server):
    assert call(server.url, keep_bytes=3).body == b"hel"
    assert call(server.url, keep_bytes=5, max_bytes=1).body == b"hello"
    assert call(server.url, keep_bytes=0).body == b""
    assert call(server.url, max_bytes=5).body == b"hello"
    assert refusal(server.url, max_bytes=4).code == "too_large"


def test_redirect_is_an_answer_unless_redirects_are_followed(server):
    first = Server(redirecting(server.url))
    got = call(first.url, "POST", body=b"x")
    assert (got.status, got.headers["location"]) == (302, server.url)
    assert server.requests == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_followed_up_to_the_number_asked_for(server, status):
    hops = [Server(redirecting(server.url + "/end", status))]
    for _ in range(2):
        hops.append(Server(redirecting(hops[-1].url, status)))
    got = call(hops[-1].url, redirects=3)
    assert (got.status, got.body, got.url) == (201, b"hello", f"{server.url}/end")
    one_more = Server(redirecting(hops[-1].url, status))
    assert refusal(one_more.url, redirects=3).code == "too_many_redirects"
    assert len(server.requests) == 1


def test_redirect_in_a_circle_ends():
    server = Server(redirecting("?again"))
    assert refusal(server.url, redirects=3).code == "too_many_redirects"
    assert len(server.requests) == 4


def test_relative_redirect_keeps_the_callers_headers_and_another_origin_does_not_get_them(server):
    def respond(connection, request):
        to = "b c?d=%2F" if request.startswith(b"GET /x/a ") else f"{server.url}/end"
        redirecting(to)(connection, request)

    first = Server(respond)
    call(f"{first.url}/x/a", redirects=3, headers={"Authorization": "secret"})
    assert [head(request).get("authorization") for request in first.requests] == ["secret", "secret"]
    assert first.requests[1].startswith(b"GET /x/b%20c?d=%2F HTTP/1.1\r\n")
    assert "authorization" not in head(server.requests[0])


def test_body_cannot_be_sent_on_to_a_redirect(server):
    with pytest.raises(ValueError, match="GET and HEAD"):
        call(server.url, "POST", body=b"x", redirects=1)
    assert server.requests == []


def test_proxies_and_credentials_of_the_environment_are_not_used(server, monkeypatch, tmp_path):
    proxy = Server(saying(answer(b"from the proxy")))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert call(server.url).body == b"hello"
    assert "authorization" not in head(server.requests[0])
    assert proxy.requests == []

    async def trusting():
        async with aiohttp.ClientSession(trust_env=True) as session, session.get(server.url) as got:
            return await got.read()

    assert asyncio.run(trusting()) == b"from the proxy"


@pytest.mark.parametrize("reuse", [False, True])
def test_connections_are_reused_only_if_asked_for_and_cookies_never(reuse):
    def respond(connection, request):
        while request:
            connection.sendall(answer(b"x", "200 OK", "Set-Cookie: a=b; Path=/"))
            request = connection.recv(65536)
            seen.append(request)

    seen = []
    server = Server(respond)

    async def twice():
        async with OutboundClient(reuse_connections=reuse, lookup=Names(a_example=[["127.0.0.1"]])) as client:
            for _ in range(2):
                await client.request("GET", f"http://a.example:{server.port}/", seconds=60, max_bytes=9)

    asyncio.run(twice())
    requests = server.requests + [request for request in seen if request]
    assert len(server.requests) == (1 if reuse else 2)
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)


def test_connections_to_one_server_are_limited():
    waiting, most, three = set(), [], threading.Barrier(3)

    def respond(connection, _):
        waiting.add(connection)
        most.append(len(waiting))
        three.wait(60)  # so many must come together
        time.sleep(0.05)  # and more must not
        most.append(len(waiting))
        waiting.discard(connection)
        connection.sendall(answer())

    server = Server(respond)

    async def many():
        async with OutboundClient(per_host=3) as client:
            calls = (client.request("GET", server.url, seconds=100, max_bytes=9) for _ in range(12))
            return [got.status for got in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == [200] * 12
    assert max(most) == 3


def test_several_urls_are_fetched_at_once_each_with_its_own_outcome(server):
    slow = Server(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"))
    missing = Server(saying(answer(b"", "404 Not Found")))
    redirect = Server(redirecting(server.url))
    urls = [server.url, redirect.url, slow.url, missing.url, "http://10.0.0.1/", "nonsense", server.url]
    found = fetch_all(urls, seconds=6, max_bytes=1000)  # one of them takes all of that
    outcomes = [got.code if isinstance(got, OutboundError) else got.status for got in found.values()]
    assert list(found) == urls[:-1]
    assert outcomes == [201, 201, "timeout", 404, "refused_address", "refused_url"]
    assert len(server.requests) == 2


def test_many_threads_fetch_at_the_same_time(server):
    url = f"http://localhost:{server.port}/"
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda number: fetch_all([f"{url}{number}"], seconds=60, max_bytes=10), range(80))
        assert [got.body for one in found for got in one.values()] == [b"hello"] * 80


def test_nothing_to_fetch_is_nothing():
    assert fetch_all([], seconds=1, max_bytes=1) == {}


def test_twenty_urls_of_one_server_arrive(server):
    found = fetch_all((f"{server.url}/{number}" for number in range(20)), seconds=60, max_bytes=10)
    assert [got.body for got in found.values()] == [b"hello"] * 20
