import time
from collections.abc import Callable

import pytest
import requests

_SECONDS = 40


def _until(condition: Callable[[], object]):
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"not true within {_SECONDS} s")


@pytest.fixture
def wait():
    """Wait for the end of a render and return it as the API tells it."""

    def until_finished(api, render_id: str) -> dict:
        def finished():
            render = api.get(f"/api/v1/renders/{render_id}").json()
            return render if render["status"] in {"completed", "failed"} else None

        return _until(finished)

    return until_finished


@pytest.fixture
def wait_for_web():
    """Wait until a web process answers, and return its address."""

    def until_it_lives(base: str) -> str:
        def lives() -> bool:
            try:
                return requests.get(f"{base}/livez", timeout=5).status_code == 200
            except requests.RequestException:
                return False

        _until(lives)
        return base

    return until_it_lives
