"""The far end of the network for tests of outbound calls: servers on loopback that answer whatever they are told."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from automette.lib.outbound import OutboundClient, OutboundError, Response


class Server:
    """Answers every connection by `respond(connection, request)` and keeps what it was sent, headers and body.

    Without `waits` it answers before it was asked.
    """

    def __init__(
        self,
        respond: Callable[[socket.socket, bytes], object],
        tls: ssl.SSLContext | None = None,
        *,
        waits: bool = True,
    ) -> None:
        self.waits, self.respond, self.tls, self.requests = waits, respond, tls, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                request = b""
                while self.waits and b"\r\n\r\n" not in request:
                    if not (more := connection.recv(65536)):
                        return
                    request += more
                head, _, body = request.partition(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0
                )
                while len(body) < length:
                    body += connection.recv(65536)
                request = head + b"\r\n\r\n" + body
                self.requests.append(request)
                self.respond(connection, request)


def answer(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def saying(content: bytes) -> Callable[[socket.socket, bytes], object]:
    return lambda connection, _: connection.sendall(content)


def redirecting(to: str, status: str = "302 Found") -> Callable[[socket.socket, bytes], object]:
    return saying(answer(b"", status, f"Location: {to}"))


def dripping(start: bytes, drop: bytes, every: float = 0.05) -> Callable[[socket.socket, bytes], object]:
    """Never comes to an end; each byte comes long before any timeout of a single read."""

    def respond(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(every)

    return respond


class Names:
    """A name server: each name has its answers, one after the other; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]


def call(url: str, method: str = "GET", client: dict | None = None, **more) -> Response:
    """Send one request by a client of its own."""

    async def run() -> Response:
        async with OutboundClient(**(client or {})) as outbound:
            return await outbound.request(method, url, **{"seconds": 60, "max_bytes": 1000, **more})

    return asyncio.run(run())


def refusal(url: str, **more) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        call(url, **more)
    return caught.value


@contextlib.contextmanager
def watched_connects() -> Iterator[list[tuple[str, int]]]:
    """Record every address that any socket is told to connect to; only loopback is really dialled."""
    seen: list[tuple[str, int]] = []

    def connect(self: socket.socket, address: tuple) -> None:
        seen.append((address[0], address[1]))
        if not address[0].startswith("127."):
            raise ConnectionRefusedError(111, "tests dial loopback only")
        return super(socket.socket, self).connect(address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield seen
