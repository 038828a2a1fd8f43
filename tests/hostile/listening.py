"""A port of this machine that counts who comes. Its count is the proof that nothing was reached."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Listener:
    """`heard` holds the first bytes that each visitor said."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    def hears(self) -> bool:
        """Whether it would have heard a visitor: one comes, says something, and is forgotten."""
        before = len(self.heard)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")
            visitor.recv(100)
        return len(self.heard) == before + 1 and self.heard.pop() != b""


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    """Listen on loopback, over TCP, and answer everybody with 404."""
    server = socket.create_server(("127.0.0.1", 0), backlog=50)
    listener = Listener(server.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed below
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(60)
                listener.heard.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
