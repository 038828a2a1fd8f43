"""One pool with real, confined children for the tests that only render; those about the pool make their own."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rendercv_fonts

from workers.job import RenderedDocument, RenderJob
from workers.pool import EnginePool

FONTS = Path(rendercv_fonts.__file__).parent
WAIT_SECONDS = 60


@pytest.fixture(scope="session")
def pool() -> Iterator[EnginePool]:
    pool = EnginePool(font_paths=[FONTS])
    pool.start()
    yield pool
    pool.close()


@pytest.fixture
def render(pool) -> Callable[..., RenderedDocument]:
    def render(source: str, team: str = "a team", **job) -> RenderedDocument:
        return pool.render(team, RenderJob(source=source, **job))

    return render


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that children of every user may pass through.

    Pytest's own is not: whoever starts another pytest on this machine closes it, at any moment.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def make_pool() -> Iterator[Callable[..., EnginePool]]:
    """Start pools with the settings that a test wants; they are closed at its end."""
    pools = []

    def make(**settings) -> EnginePool:
        pool = EnginePool(**settings)
        pool.start()
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that happens soon; a hanging test says so instead of passing by luck."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether any thread of a process still runs; one that only waits for its status to be read does not."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):  # it may end at any moment, also between two looks at it
        return False
    for thread in threads:
        try:
            if (thread / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def as_root() -> bool:
    return os.geteuid() == 0
