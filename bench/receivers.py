"""Receivers of webhooks, in a process of their own: fast ones, and one that drips a byte a second.

Run as a program it prints the ports of the fast ones and of the tarpit. For each line on its input it then prints
what has come since: event ids, and when each was complete; at the tarpit, when it began.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_DRIP_SECONDS = 1.0


class Receivers:
    """The program below, as the measurement sees it."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.receivers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        ports = json.loads(self.process.stdout.readline())
        self.urls = [f"http://127.0.0.1:{port}/hook" for port in ports["fast"]]
        self.tarpit_url = f"http://127.0.0.1:{ports['tarpit']}/hook"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(10)

    def take(self) -> dict[str, list[tuple[str, float]]]:
        """What `fast` ones and the `tarpit` have received since the last time."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class _Fast(asyncio.Protocol):
    received: list[tuple[str, float]] = []

    def __init__(self) -> None:
        self._content = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._content += data
        head, found, body = self._content.partition(b"\r\n\r\n")
        if found and len(body) >= int(_header(head, b"content-length")):
            self.received.append((_header(head, b"webhook-id").decode(), time.time()))
            self._transport.write(_ANSWER)
            self._transport.close()


class _Tarpit(asyncio.Protocol):
    received: list[tuple[str, float]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(b"HTTP/1.1 200 OK\r\n")
        self._drip()

    def data_received(self, data: bytes) -> None:
        if b"webhook-id: " in data:
            self.received.append((_header(data.partition(b"\r\n\r\n")[0], b"webhook-id").decode(), time.time()))

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"X")
            asyncio.get_running_loop().call_later(_DRIP_SECONDS, self._drip)


def _header(head: bytes, name: bytes) -> bytes:
    return head.lower().partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0]


async def _main(count: int) -> None:
    loop = asyncio.get_running_loop()
    fast = [await loop.create_server(_Fast, "127.0.0.1", 0, backlog=1000) for _ in range(count)]
    tarpit = await loop.create_server(_Tarpit, "127.0.0.1", 0, backlog=1000)
    ports = [server.sockets[0].getsockname()[1] for server in (*fast, tarpit)]
    print(json.dumps({"fast": ports[:-1], "tarpit": ports[-1]}), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"fast": _Fast.received, "tarpit": _Tarpit.received}), flush=True)
        _Fast.received.clear()
        _Tarpit.received.clear()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    asyncio.run(_main(20))
