import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from tests.stack.conftest import PROJECT, SECONDS, StartStack, family, stack_command, still_alive

pytestmark = pytest.mark.timeout(300)


def test_the_exit_code_is_passed_on_and_the_temporary_folder_removed(
    start_stack: StartStack, clean_environment: dict[str, str]
) -> None:
    stack = start_stack("--temporary")
    members = family(stack.process.pid)
    assert len(members) > 4
    assert Path(stack.variables["AUTOMETTE_DATA"]).parent == Path(clean_environment["TMPDIR"])
    assert stack.finish("seven..") == 7
    assert not still_alive(members, within=0)
    assert not list(Path(clean_environment["TMPDIR"]).iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_everything_ends(number: signal.Signals, start_stack: StartStack) -> None:
    stack = start_stack("--temporary")
    members = family(stack.process.pid)
    stack.process.send_signal(number)
    assert stack.process.wait(timeout=SECONDS) == 128 + number
    assert not still_alive(members, within=0)
    assert not Path(stack.variables["AUTOMETTE_DATA"]).exists()


def test_no_process_is_left_when_it_is_killed_and_the_next_start_recovers(
    start_stack: StartStack, tmp_path: Path
) -> None:
    folder = str(tmp_path / "data")
    stack = start_stack("--data", folder)
    members = family(stack.process.pid)
    assert len(members) > 4
    stack.process.kill()
    stack.process.wait(timeout=SECONDS)
    again = start_stack("--data", folder)
    assert not still_alive(members, within=SECONDS)
    with psycopg.connect(again.variables["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_ends_with_its_parent_when_asked_to(clean_environment: dict[str, str], tmp_path: Path) -> None:
    inner = stack_command("--die-with-parent", "exec", "--data", str(tmp_path / "data"), "--", "sleep", "1000")
    outer = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.run({inner!r})"],
                             env=clean_environment, cwd=PROJECT)  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while not (tmp_path / "data" / "servers.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        members = family(outer.pid)
        assert len(members) > 5
    finally:
        outer.kill()
        outer.wait(timeout=SECONDS)
    assert not still_alive(members, within=SECONDS)


def test_a_server_that_is_killed_comes_back_at_the_same_address(start_stack: StartStack) -> None:
    stack = start_stack("--temporary")
    with redis.Redis.from_url(stack.variables["REDIS_URL"]) as broker:
        broker.set("kept", "yes")
        number = broker.info("server")["process_id"]
        deadline = time.monotonic() + SECONDS
        while broker.info("persistence")["aof_buffer_length"]:  # a busy disk may keep it from writing for a while
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(number, signal.SIGKILL)
        while True:
            try:
                assert broker.get("kept") == b"yes"
                break
            except (redis.ConnectionError, redis.BusyLoadingError):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert broker.info("server")["process_id"] != number


def test_a_command_that_does_not_exist_is_named(clean_environment: dict[str, str]) -> None:
    answer = subprocess.run(
        stack_command("exec", "--temporary", "--", "no-such-command"),
        env=clean_environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert answer.returncode == 1
    assert "no-such-command cannot be run: No such file or directory." in answer.stderr
    assert not list(Path(clean_environment["TMPDIR"]).iterdir())
