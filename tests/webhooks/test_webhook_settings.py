import os
import subprocess
import sys

import pytest

NAMES = ["CALLS_PER_RECEIVER", "CALLS_PER_TEAM", "CALLS_PER_PROCESS", "RETENTION_DAYS"]


@pytest.mark.parametrize("name", [f"WEBHOOK_{name}" for name in NAMES])
def test_limit_that_would_let_nothing_through_stops_the_start(name):
    command = [sys.executable, "-c", "from automette import settings"]
    done = subprocess.run(
        command, env={**os.environ, name: "0"}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 1
    assert f"ImproperlyConfigured: {name} must be at least 1." in done.stderr
