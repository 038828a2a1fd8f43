import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from automette.stack.errors import StackError
from automette.stack.procfile import read_procfile
from tests.conftest import free_port, wait_until
from tests.stack.conftest import PROJECT, SECONDS, family, stack_command, still_alive

pytestmark = pytest.mark.timeout(400)


def wait_for_line(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 2 * SECONDS
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_demo_renders_every_starter_and_leaves_nothing_running(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    data, port = tmp_path / "data", str(free_port())
    answer = subprocess.run(
        stack_command("demo"),
        env=clean_environment | {"AUTOMETTE_DATA": str(data), "PORT": port},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    rows = re.findall(r"^  \S.*  completed +\d+  (http\S+)$", answer.stdout, re.MULTILINE)
    assert len(rows) == len(list((PROJECT / "templates_app" / "starters").glob("*/starter.json"))) >= 3
    assert {urlsplit(url).netloc for url in rows} == {f"localhost:{port}"}
    key = data / "api-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"Authorization: Bearer {key.read_text().strip()}" in answer.stdout
    # what had to be killed, because the machine was slow, leaves the rest to others, who are as slow
    wait_until(
        lambda: not [file for file in Path("/proc").glob("[0-9]*/environ") if str(data) in environment_of(file)]
    )
    wait_until(lambda: not list(Path(clean_environment["TMPDIR"]).iterdir()))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", int(port)))


def environment_of(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # ended meanwhile, or somebody else's
        return ""


def test_run_restarts_a_killed_web_process_and_leaves_nothing_when_killed_itself(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    port, output = str(free_port()), tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            stack_command("run"),
            env=clean_environment | {"AUTOMETTE_DATA": str(tmp_path / "data"), "PORT": port},
            cwd=PROJECT,
            stdout=file,
            stderr=file,
        )
    try:
        wait_for_line(output, "Serving on", process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        web = next(child for child in children if "gunicorn" in Path(f"/proc/{child}/cmdline").read_text())
        os.kill(int(web), signal.SIGKILL)
        wait_for_line(output, "web is back", process)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=30).status_code == 200
                break
            except (requests.ConnectionError, requests.Timeout):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        members = family(process.pid)
        assert len(members) > 10
    finally:
        process.kill()
        process.wait(timeout=SECONDS)
    assert not still_alive(members, within=30)


def test_a_taken_port_is_reported_before_anything_starts(clean_environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = subprocess.run(
            stack_command("run"),
            env=clean_environment | {"AUTOMETTE_DATA": str(tmp_path / "data"), "PORT": str(port)},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"Port {port} is taken by another program. Choose another one")
    assert not (tmp_path / "data").exists()


def test_the_procfile_names_the_processes_in_order(tmp_path: Path) -> None:
    assert list(read_procfile()) == ["release", "web", "worker", "webhooks", "sweeper", "beat"]
    broken = tmp_path / "Procfile"
    broken.write_text("web: run\n\n# comment\nno command\n")
    with pytest.raises(StackError, match="line 4: expected `name: command`"):
        read_procfile(broken)
