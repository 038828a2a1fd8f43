"""Nothing but public addresses is dialled: each attack with the connect call watched, each guard with its control."""

import asyncio
from ipaddress import ip_address

import aiohttp
import pytest

from automette.lib.outbound import OutboundClient, OutboundError, fetch_all
from automette.lib.outbound.addresses import may_dial
from automette.lib.outbound.names import JudgingResolver
from tests.lib.outbound_servers import Names, Server, answer, call, redirecting, refusal, saying, watched_connects
from tests.lib.test_outbound_addresses import HOLES_OF_IS_GLOBAL, REFUSED

PUBLIC = "93.184.216.34"
REFUSED_URLS = [
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0x/",
    "http://127.0.0.1./",
    "http://1.2.3/",
    "http://256.256.256.256/",
    "http://evil.example.0x7f/",
    "http://a@127.0.0.1/",
    "http://user:password@example.com/",
    "http://:password@example.com/",
    "http://127.0.0.1\\@evil.example/",
    "http:\\\\127.0.0.1/",
    "http://evil.example\t/",
    " http://evil.example/",
    "http://evil.example/\r\nX: y",
    "http://evil.example\x00/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://[::1]x/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%00.evil.example/",
    "http://evil.example%0d%0aX:1/",
    "http:///etc/passwd",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http://",
    "http://a..b/",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 130}example/",
    "http://evil.example:99999/",
    "http://evil.example:80:90/",
    "//127.0.0.1/",
    "127.0.0.1",
    "",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/",
    "unix:///var/run/docker.sock",
    "data:text/plain,x",
    "ws://127.0.0.1/",
    "http://evil.example/" + "a" * 5000,
]
REFUSED_HOSTS = [
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "localhost",
    "LOCALHOST",
    "ⓛocalhost",
    "127.0.0.1",
    "[::ffff:127.0.0.1]",
]


@pytest.fixture(autouse=True)
def _http_is_allowed(settings):
    settings.OUTBOUND_ALLOW_HTTP = True


@pytest.fixture
def connects():
    with watched_connects() as seen:
        yield seen


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_url_that_two_readers_could_read_differently_is_refused(url, connects):
    names = Names()
    assert refusal(url, client={"lookup": names}).code == "refused_url"
    assert (connects, names.asked) == ([], 0)


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_every_way_to_write_loopback_is_refused(host, connects):
    assert refusal(f"http://{host}/").code == "refused_address"
    assert connects == []


@pytest.mark.parametrize(
    "name", [name for name, address in REFUSED.items() if "%" not in address and address[-1:].isalnum()]
)
def test_bad_address_in_the_url_is_refused(name, connects):
    address = REFUSED[name]
    error = refusal(
        f"http://[{address}]/" if ":" in address else f"http://{address}/",
        client={"lookup": Names(localhost=[["::1"]])},
    )
    assert error.code in {"refused_address", "refused_url"}
    assert connects == []


@pytest.mark.parametrize("name", REFUSED)
def test_name_of_a_bad_address_is_refused(name, connects):
    error = refusal("https://internal.example/", client={"lookup": Names(internal_example=[[REFUSED[name]]])})
    assert error.code == "refused_address"
    assert connects == []
    assert error.message == (
        "internal.example is not a public address on port 80 or 443; ask the operator to allow its network."
    )


@pytest.mark.parametrize("name", HOLES_OF_IS_GLOBAL)
def test_control_with_is_global_the_bad_address_is_dialled(name, connects):
    address = REFUSED[name]
    weak = {
        "lookup": Names(internal_example=[[address]]),
        "judge": lambda *dialled: ip_address(dialled[0]).is_global,
    }
    assert refusal("https://internal.example/", client=weak).code == "connect"
    assert connects == [(address, 443)]


@pytest.mark.parametrize(
    "answers", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["2606:4700::1111", "::1", PUBLIC]]
)
def test_one_bad_answer_refuses_the_name(answers, connects):
    error = refusal("https://mixed.example/", client={"lookup": Names(mixed_example=[answers])})
    assert error.code == "refused_address"
    assert connects == []


@pytest.mark.parametrize("port", [0, 22, 25, 5432, 6379, 8080])
@pytest.mark.parametrize("host", ["public.example", PUBLIC])
def test_other_ports_are_refused(host, port, connects):
    assert (
        refusal(f"http://{host}:{port}/", client={"lookup": Names(public_example=[[PUBLIC]])}).code
        == "refused_address"
    )
    assert connects == []


def test_control_public_addresses_are_dialled(connects):
    names = Names(public_example=[[PUBLIC, "1.1.1.1"]])
    assert refusal("https://public.example/", client={"lookup": names}).code == "connect"
    assert set(connects) == {(PUBLIC, 443), ("1.1.1.1", 443)}


def test_rebinding_name_finds_no_moment_between_check_and_connection(connects):
    names = Names(rebinding_example=[[PUBLIC], ["127.0.0.1"]])
    assert refusal("http://rebinding.example/", client={"lookup": names}).code == "connect"
    assert (connects, names.asked) == ([(PUBLIC, 80)], 1)
    assert refusal("http://rebinding.example/", client={"lookup": names}).code == "refused_address"
    assert (connects, names.asked) == ([(PUBLIC, 80)], 2)


def test_control_check_first_and_fetch_afterwards_is_rebound(connects):
    names = Names(rebinding_example=[[PUBLIC], ["127.0.0.1"]])

    async def check_then_fetch():
        assert all(may_dial(address, 80) for address in await names("rebinding.example", 80))
        resolver = JudgingResolver(names, judge=lambda *_: True)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session:
            await session.get("http://rebinding.example:9/")

    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(check_then_fetch())
    assert connects == [("127.0.0.1", 9)]


def test_address_is_judged_again_when_it_is_dialled(connects):
    """The first judgement, of the name, passes: what stops the connection is the second, of the socket."""
    judgements = iter([True, False])
    client = {"lookup": Names(a_example=[[PUBLIC]]), "judge": lambda *_: next(judgements)}
    assert refusal("https://a.example/", client=client).code == "refused_address"
    assert connects == []


def test_remembered_answer_is_judged_by_the_settings_of_the_moment(settings, connects):
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    server = Server(saying(answer()))
    names = Names(local_example=[["127.0.0.1"]])

    async def twice():
        async with OutboundClient(lookup=names) as client:
            url = f"http://local.example:{server.port}/"
            assert (await client.request("GET", url, seconds=60, max_bytes=9)).status == 200
            settings.OUTBOUND_ALLOW_CIDRS = []
            with pytest.raises(OutboundError, match="not a public address"):
                await client.request("GET", url, seconds=60, max_bytes=9)

    asyncio.run(twice())
    assert (len(connects), len(server.requests), names.asked) == (1, 1, 1)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://127.0.0.2/", "refused_address"),
        ("http://169.254.169.254/latest/meta-data/", "refused_address"),
        ("http://[::1]/", "refused_address"),
        ("//10.0.0.1/", "refused_address"),
        ("http://inside.example/", "refused_address"),
        ("http://8.8.8.8:22/", "refused_address"),
        ("http://2130706434/", "refused_url"),
        ("http://user@8.8.8.8/", "refused_url"),
        ("http://127.0.0.2\\@8.8.8.8/", "refused_url"),
        ("http://[::1/", "refused_url"),
        ("file:///etc/passwd", "refused_url"),
        ("gopher://8.8.8.8/", "refused_url"),
    ],
)
def test_redirect_is_a_new_url_and_judged_as_one(settings, connects, target, code):
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.1/32"]
    server = Server(redirecting(target))
    lookup = Names(outside_example=[["127.0.0.1"]], inside_example=[["10.0.0.1"]])
    error = refusal(f"http://outside.example:{server.port}/", redirects=3, client={"lookup": lookup})
    assert error.code == code
    assert connects == [("127.0.0.1", server.port)]
    assert "outside.example" in error.message
    assert not any(word in error.message for word in ("127.", "169.254", "10.0", "inside", "8.8", "passwd"))


def test_control_redirect_to_an_allowed_address_is_followed(settings, connects):
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    second = Server(saying(answer(b"there")))
    first = Server(redirecting(f"http://127.0.0.1:{second.port}/"))
    assert call(first.url, redirects=3).body == b"there"
    assert connects == [("127.0.0.1", first.port), ("127.0.0.1", second.port)]


def test_http_needs_the_operators_word(settings, connects):
    settings.OUTBOUND_ALLOW_HTTP = False
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    server = Server(saying(answer()))
    assert refusal(server.url).code == "refused_url"
    assert connects == []
    settings.OUTBOUND_ALLOW_HTTP = True
    assert call(server.url).status == 200


def test_synchronous_caller_has_the_same_guard(connects):
    urls = ["http://127.0.0.1/", "http://localhost/", "http://127.1/", "file:///etc/passwd"]
    codes = [error.code for error in fetch_all(urls, seconds=60, max_bytes=1000).values()]
    assert codes == ["refused_address", "refused_address", "refused_url", "refused_url"]
    assert connects == []
