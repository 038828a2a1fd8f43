"""Servers that never end, lie, flood or break off: the call ends in time, with little memory, and says why."""

import asyncio
import gzip
import socket
import threading
import time

import aiohttp
import pytest

from automette.lib.outbound import OutboundClient, OutboundError, fetch_all, names
from tests.conftest import wait_until
from tests.lib.outbound_servers import Names, Server, answer, call, dripping, redirecting, refusal, saying

OK = b"HTTP/1.1 200 OK\r\n"
SOON = 0.4  # the deadline, where it is to pass
LATE = 30.0  # by far enough for a slow machine, by far not for the other side, which never comes to an end


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]


def silent(connection, _):
    connection.recv(1)


def endless(start, piece):
    """Send as fast as the other side reads; what was sent is counted."""

    def respond(connection, _):
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            sent.append(len(piece))

    sent = []
    respond.sent = sent
    return respond


@pytest.mark.parametrize(
    "respond",
    [
        silent,
        dripping(b"HTTP/1.1 200 ", b"x"),
        dripping(OK, b"X-Slow: 1\r\n"),
        dripping(OK + b"X-Slow: ", b"x"),
        dripping(OK + b"\r\n", b"x"),
        dripping(OK + b"Content-Length: 900\r\n\r\n", b"x"),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;"),
        dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        redirecting("/"),
    ],
    ids=[
        "silence",
        "status",
        "headers",
        "header",
        "body",
        "length",
        "chunks",
        "chunk",
        "hints",
        "circle",
    ],
)
def test_deadline_covers_everything(respond):
    server = Server(respond)
    started = time.monotonic()
    assert refusal(server.url, seconds=SOON, redirects=1_000_000).code == "timeout"
    assert time.monotonic() - started < LATE


def test_control_a_timeout_of_each_read_never_passes():
    server = Server(dripping(OK + b"Content-Length: 12\r\n\r\n", b"x", every=0.5))
    patience = 4  # eight times as long as a byte takes, so that a machine may stand still for a while

    async def fetch():
        timeout = aiohttp.ClientTimeout(total=None, sock_read=patience)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(server.url) as got:
            return await got.read()

    started = time.monotonic()
    assert asyncio.run(fetch()) == b"x" * 12
    assert time.monotonic() - started > patience


def test_deadline_covers_the_name():
    async def never(host, port):
        await asyncio.sleep(60)

    assert refusal("https://slow.example/", seconds=SOON, client={"lookup": never}).code == "timeout"


@pytest.fixture
def name_server_is_silent(monkeypatch):
    """The machine's own lookup, asking a name server that does not answer before the event is set."""
    end = threading.Event()
    wait_until(lambda: not names._count_running())  # lookups of other tests
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(100) and [])
    yield end
    end.set()
    wait_until(lambda: not names._count_running())


def test_silent_name_server_holds_nobody_up(name_server_is_silent):
    started = time.monotonic()
    found = fetch_all(["https://a.example/", "https://b.example/"], seconds=SOON, max_bytes=10)
    assert [error.code for error in found.values()] == ["timeout", "timeout"]
    assert time.monotonic() - started < LATE


def test_control_a_pool_of_lookups_would_be_waited_for(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(SOON * 4))

    async def give_up_soon():
        async with asyncio.timeout(SOON):
            await asyncio.get_running_loop().getaddrinfo("a.example", 443)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(give_up_soon())
    assert time.monotonic() - started > SOON * 3


def test_lookups_that_hang_are_limited(name_server_is_silent):
    failed = []

    async def ask(client: OutboundClient, number: int) -> None:
        with pytest.raises(OutboundError) as error:
            await client.request("GET", f"https://{number}.a.example/", seconds=100)
        failed.append(error.value.code)

    async def ask_for_too_many() -> tuple[list[str], int]:
        async with OutboundClient() as client:
            asked = [asyncio.create_task(ask(client, number)) for number in range(names.MOST_LOOKUPS + 4)]
            while len(failed) + names._count_running() < len(asked):  # noqa: ASYNC110 - threads tell nobody
                await asyncio.sleep(0.01)
            at_once, hanging = list(failed), names._count_running()
            name_server_is_silent.set()  # from now on it says that it knows none of them
            await asyncio.gather(*asked)
        return at_once, hanging

    assert asyncio.run(ask_for_too_many()) == (["dns"] * 4, names.MOST_LOOKUPS)


def test_lookups_that_ended_make_room(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    urls = [f"https://{number}.a.example/" for number in range(10)]
    for _ in range(names.MOST_LOOKUPS // 10 + 1):
        assert {error.message.partition(" ")[2] for error in fetch_all(urls, seconds=60, max_bytes=10).values()} == {
            "has no address, or its name server does not answer."
        }


@pytest.mark.parametrize("start", [OK + b"\r\n", OK + b"Content-Length: 10000000000\r\n\r\n"], ids=["open", "length"])
def test_endless_body_is_cut_off(start):
    respond = endless(start, b"x" * 65536)
    server = Server(respond)
    assert refusal(server.url, max_bytes=100_000).code == "too_large"
    assert len(call(server.url, keep_bytes=4096).body) == 4096
    assert sum(respond.sent) < 30_000_000  # what the buffers of two connections hold


def test_endless_chunked_body_is_cut_off():
    respond = endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n")
    assert refusal(Server(respond).url, max_bytes=100_000).code == "too_large"
    assert sum(respond.sent) < 30_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip", "identity, gzip"])
def test_compressed_answer_is_never_inflated(encoding):
    bomb = gzip.compress(b"\0" * 10_000_000)
    server = Server(saying(answer(bomb, "200 OK", f"Content-Encoding: {encoding}")))
    assert refusal(server.url, max_bytes=20_000_000).code == "encoded"
    got = call(server.url, keep_bytes=4096)
    assert (got.status, got.body) == (200, b"")


def test_control_a_client_that_inflates_gets_the_bomb():
    bomb = gzip.compress(b"\0" * 10_000_000)
    server = Server(saying(answer(bomb, "200 OK", "Content-Encoding: gzip")))

    async def fetch():
        async with aiohttp.ClientSession() as session, session.get(server.url) as got:
            return len(await got.read())

    assert (len(bomb) < 10_000, asyncio.run(fetch())) == (True, 10_000_000)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"-ERR unknown command\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK",
        OK + b"Content-Length: 100\r\n\r\nshort",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 99999999999999999999999999\r\n\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"no colon\r\n\r\n",
        OK + b"X: a\x00b\r\n\r\n",
        OK + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        OK + b"X: y\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=lambda content: content[:60].decode("latin-1"),
)
def test_what_is_not_http_is_said_to_be_so(content):
    server = Server(saying(content))
    assert refusal(server.url).code == "protocol"


@pytest.mark.parametrize("piece", [b"X: y\r\n", b"x" * 1000], ids=["headers", "one header"])
def test_header_flood_is_cut_off(piece):
    respond = endless(OK + b"X-Flood: ", piece)
    assert refusal(Server(respond).url).code == "protocol"
    assert sum(respond.sent) < 30_000_000


@pytest.mark.parametrize("keep", [None, 4096])
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        (b"", b"HTTP/1.1 103 Early Hints\r\n" + b"X: y\r\n" * 100 + b"\r\n"),
        (b"", b"\r\n" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
    ],
    ids=["hints", "hints with headers", "empty lines", "chunk extension", "chunk size"],
)
def test_flood_that_never_comes_to_a_body_is_cut_off(start, piece, keep):
    respond = endless(start, piece)
    assert refusal(Server(respond).url, seconds=60, keep_bytes=keep).code == "too_large"
    assert sum(respond.sent) < 30_000_000


def test_control_without_the_count_a_flood_of_hints_is_read_until_the_deadline():
    server = Server(endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100))

    async def fetch():
        async with asyncio.timeout(SOON * 2), aiohttp.ClientSession() as session, session.get(server.url):
            pass

    with pytest.raises(TimeoutError):
        asyncio.run(fetch())


def test_limit_of_what_arrives_is_for_each_request_not_for_the_connection():
    size = 200_000

    def respond(connection, request):
        while request:
            connection.sendall(answer(b"x" * size))
            request = connection.recv(65536)

    server = Server(respond)

    async def many():
        async with OutboundClient(reuse_connections=True) as client:
            for _ in range(20):
                got = await client.request("GET", server.url, seconds=60, max_bytes=size)
                assert len(got.body) == size

    asyncio.run(many())
    assert len(server.requests) == 1


def test_answers_that_nobody_asked_for_are_left_alone():
    respond = endless(b"", answer(b"first") * 100)
    assert call(Server(respond).url).body == b"first"
    assert sum(respond.sent) < 30_000_000


def test_header_in_no_encoding_is_read_and_a_location_like_that_is_refused_or_followed_safely():
    server = Server(
        saying(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nX: \xff\r\nLocation: http://\xff\xfe/\r\n\r\n")
    )
    assert call(server.url).status == 302
    assert refusal(server.url, redirects=3).code == "refused_url"


def test_closed_port_and_reset_connection_are_told_apart():
    server = Server(lambda connection, _: connection.close())
    assert refusal(server.url).code == "protocol"
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    assert refusal(server.url).code == "connect"


def test_name_without_address_is_said_to_be_so():
    assert refusal("https://nothing.example/", client={"lookup": Names(nothing_example=[[]])}).code == "dns"
