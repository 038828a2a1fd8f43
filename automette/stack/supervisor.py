"""`run` and `demo`: the servers, the processes of the Procfile, and one document of each starter."""

from __future__ import annotations

import concurrent.futures
import errno
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from automette.stack.children import reap, spawn, tail
from automette.stack.data_directory import default_path, open_data_directory
from automette.stack.errors import Interrupted, StackError
from automette.stack.keeper import Keeper
from automette.stack.procfile import PROJECT, RELEASE, Process, read_procfile, shell
from automette.stack.servers import servers
from automette.stack.showcase import Api, Seed, curl, render_samples, table
from automette.stack.signals import Signals

if TYPE_CHECKING:
    from typing import IO

    from automette.stack.data_directory import DataDirectory
    from automette.stack.keeper import Service
    from automette.stack.showcase import Sample

SEED = "python manage.py seed_demo --json"
SECONDS_UNTIL_READY = 90.0
HIGHEST_PORT = 65535


def supervise(*, stay: bool) -> int:
    """Run everything; `stay` until a signal comes, else only until the samples are rendered.

    Returns 0, or 1 if a sample could not be rendered. Raises StackError if something does not start.
    """
    begin = time.monotonic()
    port = _port()
    with Signals() as signals:
        try:
            with open_data_directory(default_path(), wait=signals.wait) as data:
                _say(f"Automette starts. Data in {data.path}, logs in {data.path}/logs.")
                try:
                    with servers(data, wait=signals.wait, report=_say, on_ready=_show_ready) as (keeper, variables):
                        supervisor = Supervisor(data, keeper, variables, signals=signals, port=port, begin=begin)
                        return supervisor.run(stay=stay)
                finally:
                    _say("Everything is stopped.")
        except Interrupted as interruption:
            return 128 + interruption.signal_number


class Supervisor:
    """The application around servers that are up."""

    def __init__(
        self,
        data: DataDirectory,
        servers: Keeper,
        variables: dict[str, str],
        *,
        signals: Signals,
        port: int,
        begin: float,
    ) -> None:
        public_url = (os.environ.get("PUBLIC_URL") or f"http://localhost:{port}").rstrip("/")
        # The programs of this Python first: `python`, `gunicorn` and `celery` of the Procfile.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        application = {"PORT": str(port), "PUBLIC_URL": public_url, "PATH": path, "PYTHONUNBUFFERED": "1"}
        self._environment = {"SHOW_DEMO_DOCUMENTS": "true"} | dict(os.environ) | variables | application
        self._data = data
        self._servers = servers
        self._signals = signals
        self._begin = begin
        self._api = Api(port, public_url)
        data.publish({**variables, "PUBLIC_URL": public_url})

    def run(self, *, stay: bool) -> int:
        commands = read_procfile()
        if RELEASE in commands:
            self._finish(RELEASE, commands.pop(RELEASE))
        processes = Keeper(
            [Process(name, line, self._environment, self._data.log(name)) for name, line in commands.items()], _say
        )
        try:
            begin = time.monotonic()
            processes.start(self._wait, lambda *_: None)
            seed = self._seed()  # while they load
            self._await_readiness(processes, begin)
            samples = self._render_samples(seed)
            self._show(seed, samples)
            if stay:
                self._stay(processes)
            return 0 if samples and all(sample.good for sample in samples) else 1
        finally:
            _say("Stopping ...")
            processes.stop()

    def _wait(self, seconds: float) -> None:
        self._signals.wait(seconds)
        self._servers.tick()

    def _finish(self, name: str, command: str, output: IO[bytes] | None = None) -> None:
        """Run a command to its end. Raises StackError with the end of its log if it fails."""
        begin = time.monotonic()
        log = self._data.log(name)
        start_of_log = log.stat().st_size
        process = spawn(
            shell(command),
            environment=self._environment,
            death_signal=signal.SIGKILL,
            log=log,
            output=output,
            working_directory=PROJECT,
        )
        try:
            while (code := reap(process)) is None:
                self._wait(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            text = tail(log, start=start_of_log, lines=30)
            raise StackError(f"`{command}` failed with exit code {code}. The end of {log}:\n{text}")
        _say(f"  {name:<12} done in {time.monotonic() - begin:.1f} s")

    def _seed(self) -> Seed:
        with tempfile.TemporaryFile() as output:
            self._finish("seed", SEED, output)
            output.seek(0)
            seed = json.load(output)
        return Seed(seed["api_key"], seed["operator"], seed["templates"])

    def _await_readiness(self, processes: Keeper, begin: float) -> None:
        """Wait for `/readyz`; a process that ends before has a reason that a second try would not remove."""
        state = "no answer yet"
        while time.monotonic() - begin < SECONDS_UNTIL_READY:
            for process in processes.services:
                if process.process is not None and (code := reap(process.process)) is not None:
                    text = tail(process.log, lines=30)
                    raise StackError(f"{process.name} ended with exit code {code}. The end of {process.log}:\n{text}")
            try:
                code, content = self._api.call("GET", "/readyz", timeout=3.0)
            except (OSError, http.client.HTTPException):
                code = 0
            else:
                state = content.decode(errors="replace")
            if code == http.client.OK:
                names = ", ".join(process.name for process in processes.services)
                _say(f"  {names} ready in {time.monotonic() - begin:.1f} s")
                return
            self._wait(0.05)
        raise StackError(f"The application was not ready within {SECONDS_UNTIL_READY:.0f} s: {state}")

    def _render_samples(self, seed: Seed) -> list[Sample]:
        """In a thread, so that signals are noticed while a render takes its time."""
        _say(f"Rendering one document of each starter ({time.monotonic() - self._begin:.1f} s after the start):")
        api = Api(self._api.port, self._api.public_url, seed.api_key)
        pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        try:
            rendering = pool.submit(render_samples, api, seed)
            while not rendering.done():
                self._wait(0.02)
            return rendering.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _show(self, seed: Seed, samples: list[Sample]) -> None:
        url = self._api.public_url
        _say(f"\n{table(samples)}\n")
        _say(f"  Start page  {url}/")
        _say(f"  API docs    {url}/docs")
        _say(f"  Admin       {url}/admin/  user {seed.operator['username']}, password {seed.operator['password']}")
        _say(f"  API key     {seed.api_key}  (also in {self._data.path / 'api-key'})")
        if seed.templates:
            _say(f"\n  {curl(self._api, seed)}\n")

    def _stay(self, processes: Keeper) -> None:
        _say(f"Serving on {self._api.public_url}. Ctrl-C stops everything.")
        try:
            while True:
                self._wait(0.5)
                processes.tick()
        except Interrupted:
            return


def _port() -> int:
    """The port that PORT names, made sure to be free."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdigit() or not 0 < int(text) <= HIGHEST_PORT:
        raise StackError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    port = int(text)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            other = 8000 if port == HIGHEST_PORT else port + 1
            raise StackError(f"Port {port} {reason}. Choose another one, such as: PORT={other} make run") from error
    return port


def _show_ready(service: Service, seconds: float) -> None:
    _say(f"  {service.name:<12} ready in {seconds:.1f} s")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
