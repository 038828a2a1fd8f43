"""A light load generator: keep-alive connections over plain sockets, about 0.1 ms of CPU per request.

Run as a program it takes one order per line, `{"first": 1, "count": 400, "threads": 4, "mix": ["typst"]}`, posts so
many async renders as fast as they are accepted, and answers with the seconds it took and how many were not accepted.
The engines of the mix take turns.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.documents import data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ONLY_TYPST = ("typst",)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send requests, and as whom. The templates are told by their engine."""

    port: int
    key: str
    template_ids: Mapping[str, str]


class Connection:
    """One keep-alive connection, for one thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.create_connection(("127.0.0.1", target.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        identity = f"Host: 127.0.0.1:{target.port}\r\nAuthorization: Bearer {target.key}\r\n"
        self._get_tail = f" HTTP/1.1\r\n{identity}\r\n"
        self._head = f"POST /api/v1/renders HTTP/1.1\r\n{identity}Content-Type: application/json\r\nContent-Length: "

    def render(self, number: int, *, wait: bool, engine: str = "typst") -> int:
        """Ask for the document with this number; the status of the answer."""
        ask = {
            "template_id": self._target.template_ids[engine],
            "data": data(engine, number),
            "async": not wait,
        }
        body = json.dumps(ask).encode()
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        return self._answer()[0]

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        self._socket.sendall(f"GET {path}{self._get_tail}".encode())
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        return int(head.split(b" ", 2)[1]), body

    def _more(self) -> bytes:
        if chunk := self._socket.recv(65536):
            return chunk
        raise ConnectionError("the server closed the connection")


class LoadGenerator:
    """The program below, in a process of its own, so that its CPU is seen apart."""

    def __init__(self, target: Target) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", str(target.port), json.dumps(target.template_ids)],
            env={**os.environ, "BENCH_API_KEY": target.key},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def post(self, first: int, count: int, threads: int = 4, *, mix: Sequence[str] = ONLY_TYPST) -> dict[str, Any]:
        """Post async renders and wait until all are accepted. Raises RuntimeError if one was not."""
        self.process.stdin.write(json.dumps({"first": first, "count": count, "threads": threads, "mix": mix}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer["refused"]:
            raise RuntimeError(f"{answer['refused']} of {count} renders were not accepted")
        return answer

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


def _post(connection: Connection, numbers: range, mix: Sequence[str], refused: list[int]) -> None:
    refused.extend(
        number for number in numbers if connection.render(number, wait=False, engine=mix[number % len(mix)]) != 202
    )


def main(target: Target) -> None:
    connections: list[Connection] = []
    for line in sys.stdin:
        order = json.loads(line)
        while len(connections) < order["threads"]:
            connections.append(Connection(target))
        refused: list[int] = []
        begin = time.perf_counter()
        end = order["first"] + order["count"]
        numbers = [range(order["first"] + place, end, order["threads"]) for place in range(order["threads"])]
        threads = [
            threading.Thread(target=_post, args=(connection, share, order["mix"], refused))
            for connection, share in zip(connections, numbers, strict=False)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps({"seconds": time.perf_counter() - begin, "refused": len(refused)}), flush=True)


if __name__ == "__main__":
    main(Target(int(sys.argv[1]), os.environ["BENCH_API_KEY"], json.loads(sys.argv[2])))
