"""The one HTTP client for servers that users name.

What it keeps to, whatever the other side does:

- The address is judged as it is dialled. The connector makes no socket without asking us, and sees only names whose
  every address passed, so a name that changes its answer (DNS rebinding) finds no moment in between.
- One deadline covers everything: waiting for the name, the connection, TLS, headers and body that drip.
- What arrives is counted, the body and everything around it. Compressed answers are never inflated.
- No proxies or credentials from the environment, no cookies, TLS always verified.
- Redirects are followed only if asked for, one by one, each as a new URL; the caller's headers stay with the server
  that they were meant for.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from automette.lib.outbound.addresses import may_dial
from automette.lib.outbound.errors import AddressRefusedError, OutboundError
from automette.lib.outbound.intake import CountedResponse, Intake, intake
from automette.lib.outbound.names import Judge, JudgingResolver, Lookup, look_up
from automette.lib.outbound.urls import parse_url

_CONNECT_SECONDS: Final = 5
_LONGEST_HEADER: Final = 8190  # bytes; of the status line, too
_MOST_HEADERS: Final = 128
_LOOKUP_KEPT_SECONDS: Final = 10  # the addresses are judged again when they are dialled
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SWITCHING_PROTOCOLS: Final = 101
_FETCHES_PER_HOST: Final = 6
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OUR_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "cookie", "expect", "host", "keep-alive"}
    | {"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status.

    The names in `headers` are not case-sensitive. `url` is the last one after redirects: not for users, who may learn
    from it what only the server that they named can see.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request to one server; `subject` is how messages call that server."""

    method: str
    url: URL
    subject: str
    headers: dict[str, str]
    body: bytes | None
    max_bytes: int
    keep_bytes: int | None
    started: float = field(default_factory=time.monotonic)

    @property
    def limit(self) -> int:
        return self.max_bytes if self.keep_bytes is None else self.keep_bytes


class OutboundClient:
    """A client of one event loop: `async with OutboundClient() as client: await client.request(...)`.

    `reuse_connections`: not by default, because a POST on a connection that the server is just closing fails.
    `per_host`: connections to one server at a time (0: no limit); waiting for one counts against the deadline.
    `lookup` finds the addresses of a name and `judge` decides on each: for tests.
    """

    def __init__(
        self, *, reuse_connections: bool = False, per_host: int = 0, lookup: Lookup = look_up, judge: Judge = may_dial
    ) -> None:
        self._reuse_connections = reuse_connections
        self._per_host = per_host
        self._resolver = JudgingResolver(lookup, judge)
        self._judge = judge
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._socket,
            ssl=_tls(),
            ttl_dns_cache=_LOOKUP_KEPT_SECONDS,
            limit=0,
            limit_per_host=self._per_host,
            force_close=not self._reuse_connections,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Automette", "Accept-Encoding": "identity"},
            skip_auto_headers=["Content-Type"],
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            response_class=CountedResponse,
            auto_decompress=False,
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        max_bytes: int = 65_536,
        keep_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        redirects: int = 0,
    ) -> Response:
        """Send the request once and return the answer, also one of status 404 or 500.

        A body above `max_bytes` is refused; with `keep_bytes` only that much of it is read, and `max_bytes` does not
        count. Redirects are answers like any other unless some `redirects` are to be followed, which only GET and
        HEAD may ask for. Raises OutboundError.
        """
        if redirects and (method not in {"GET", "HEAD"} or body is not None):
            raise ValueError("Only GET and HEAD without a body may follow redirects.")
        target = parse_url(url)
        host = target.host or ""
        hop = _Hop(method, target, host, _checked_headers(headers or {}), body, max_bytes, keep_bytes)
        try:
            async with asyncio.timeout(seconds):
                for _ in range(redirects + 1):
                    answer = await self._send(hop, follow=redirects > 0)
                    if isinstance(answer, Response):
                        return answer
                    hop = _redirected(hop, answer, host)
        except TimeoutError as error:
            raise OutboundError("timeout", f"{host} did not answer in time.") from error
        raise OutboundError("too_many_redirects", f"{host} redirects more often than allowed ({redirects}).")

    async def _send(self, hop: _Hop, *, follow: bool) -> Response | str:
        """Return the answer, or where it redirects to if redirects are followed."""
        received = Intake(hop.limit)
        intake.set(received)
        try:
            async with self._session.request(
                hop.method, hop.url, data=hop.body, headers=hop.headers, allow_redirects=False
            ) as answer:
                if answer.status == _SWITCHING_PROTOCOLS:
                    raise OutboundError("protocol", f"{hop.subject} answered in another protocol than HTTP.")
                location = answer.headers.get("Location")
                if follow and location and answer.status in _REDIRECTS:
                    return location
                content = await _read(answer, hop)
                milliseconds = round((time.monotonic() - hop.started) * 1000)
                return Response(answer.status, answer.headers, content, str(hop.url), milliseconds)
        except TimeoutError:  # one of aiohttp's errors is a TimeoutError, too
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise (_too_large(hop) if received.exceeded else _explained(error, hop)) from error

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for this address: the last thing that happens before it is dialled."""
        family, kind, protocol, _, (address, port, *_) = info
        if not self._judge(str(address), int(port)):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)


def fetch_all(
    urls: Iterable[str], *, seconds: float, max_bytes: int, redirects: int = 3
) -> dict[str, Response | OutboundError]:
    """GET all of these at the same time, for a caller without an event loop; each URL once.

    The deadline is one for all; `max_bytes` is for each. What failed is in the answer as its error.
    """
    return asyncio.run(_fetch_all(dict.fromkeys(urls), seconds=seconds, max_bytes=max_bytes, redirects=redirects))


async def _fetch_all(
    urls: Iterable[str], *, seconds: float, max_bytes: int, redirects: int
) -> dict[str, Response | OutboundError]:
    async def fetch(client: OutboundClient, url: str) -> Response | OutboundError:
        try:
            return await client.request("GET", url, seconds=seconds, max_bytes=max_bytes, redirects=redirects)
        except OutboundError as error:
            return error

    async with OutboundClient(per_host=_FETCHES_PER_HOST) as client:
        answers = await asyncio.gather(*(fetch(client, url) for url in urls))
    return dict(zip(urls, answers, strict=True))


@cache
def _tls() -> ssl.SSLContext:
    """Return the verifying context of this process: making one reads the system's certificates, which takes 20 ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves it to the system's configuration
    return context


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise OutboundError("refused_header", f"The header {name!r} has characters that are not allowed.")
        if name.lower() in _OUR_HEADERS:
            raise OutboundError("refused_header", f"The header {name} cannot be set.")
    return dict(headers)


def _redirected(hop: _Hop, location: str, host: str) -> _Hop:
    """Return the next request; the caller's headers are not for another origin."""
    try:
        url = parse_url(str(hop.url.join(URL(location.strip().replace(" ", "%20"), encoded=True))))
    except ValueError as error:
        raise OutboundError("refused_url", f"{host} redirects to a URL that cannot be read.") from error
    except OutboundError as error:
        raise OutboundError("refused_url", f"{host} redirects to a URL that is refused. {error.message}") from error
    headers = hop.headers if url.origin() == hop.url.origin() else {}
    return replace(hop, url=url, subject=f"The server to which {host} redirects", headers=headers)


async def _read(answer: aiohttp.ClientResponse, hop: _Hop) -> bytes:
    """Return the body, not inflated and never more of it than allowed, whatever its length is said to be."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        if hop.keep_bytes is not None:
            return b""
        raise OutboundError("encoded", f"{hop.subject} sent a compressed answer, although none was asked for.")
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if hop.keep_bytes is not None and len(content) >= hop.limit:
            break
        if len(content) > hop.limit:
            raise _too_large(hop)
    return bytes(content[: hop.limit])


def _too_large(hop: _Hop) -> OutboundError:
    return OutboundError("too_large", f"{hop.subject} sent more than an answer of {hop.limit} bytes can be.")


def _explained(error: aiohttp.ClientError | OSError, hop: _Hop) -> OutboundError:
    if isinstance(getattr(error, "os_error", None), AddressRefusedError):
        return OutboundError(
            "refused_address",
            f"{hop.subject} is not a public address on port 80 or 443; ask the operator to allow its network.",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return OutboundError("dns", f"{hop.subject} has no address, or its name server does not answer.")
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return OutboundError("tls", f"{hop.subject} could not prove who it is: {_tls_reason(error)}.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return OutboundError("connect", f"{hop.subject} does not accept connections.")
    return OutboundError("protocol", f"{hop.subject} did not answer in valid HTTP, or broke off.")


def _tls_reason(error: BaseException) -> str:
    """Return OpenSSL's word on the certificate, without the names in it."""
    certificate = getattr(error, "certificate_error", None)
    message = getattr(certificate, "verify_message", "") or "the TLS handshake failed"
    return str(message).partition(",")[0]
