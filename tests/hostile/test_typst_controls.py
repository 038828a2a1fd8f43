"""The guards against hostile templates, taken away one by one: each time the attack succeeds."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.corpus import LEAKS, cases, is_clean, tried
from tests.hostile.listening import listening
from workers.errors import LimitExceededError, RenderError, TemplateError
from workers.isolation.confinement import LAYERS
from workers.job import Limits, RenderedDocument, RenderJob
from workers.pool import EnginePool

BARE = Path(__file__).with_name("bare_typst.py")
BAIT = "the bait of this test"
CONTROLLED = {
    "time", "memory", "pages", "pixels", "bytes", "process", "panic", "root", "landlock", "network", "environment",
    "engine",
}  # fmt: skip
"""The guards of the manifest. "engine" is Typst's own, which nobody can take away."""


@pytest.fixture
def bait() -> Iterator[Path]:
    """A file that every user of this machine may read, where pytest's own folder may not be passed through."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "bait").write_text(BAIT)
    yield folder / "bait"
    shutil.rmtree(folder)


@contextlib.contextmanager
def started(**settings) -> Iterator[EnginePool]:
    pool = EnginePool(children=1, spares=0, **settings)
    pool.start()
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[EnginePool]:
    with started() as pool:
        yield pool


def bare(source: str, *, root: str = "/", format_name: str = "pdf", **more) -> subprocess.CompletedProcess:
    """Compile in a process of its own without any guard; ends with TimeoutExpired when that takes too long."""
    command = [sys.executable, "-I", str(BARE), root, format_name]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=False, **{"timeout": 60, **more})


def told(process: subprocess.CompletedProcess) -> dict:
    return json.loads(process.stdout)


def test_every_guard_of_the_manifest_has_a_control():
    assert {case.guard for case in cases().values()} == CONTROLLED


@pytest.mark.parametrize("name", ["for-in-for", "query-loop"])
def test_without_the_time_limit_it_goes_on(guarded, name):
    with pytest.raises(LimitExceededError, match=r"timed out after 0\.7 s"):
        guarded.render("team", cases()[name].job(9))
    with pytest.raises(subprocess.TimeoutExpired):  # three times as long
        bare(cases()[name].source, timeout=2.1)


def test_without_the_time_limit_slow_templates_end_well(guarded):
    slow = "#for i in range(1500) { for j in range(1000) { } }"
    with pytest.raises(LimitExceededError, match="timed out"):
        guarded.render("team", RenderJob(source=slow, limits=Limits(wall_seconds=0.02)))
    assert guarded.render("team", RenderJob(source=slow)).pages == 1


def test_without_the_memory_limit_it_takes_the_memory(guarded):
    source = "#let a = (1,) * 15000000\n#a.len()"
    with pytest.raises(LimitExceededError, match="memory limit of 300 MB exceeded"):
        guarded.render("team", RenderJob(source=source, limits=Limits(memory_bytes=300 << 20)))
    assert told(bare(source))["megabytes"] > 400


@pytest.mark.parametrize(
    ("name", "lifted"),
    [
        ("one-page-too-many", {"max_pages": 1 << 20}),
        ("page-too-large", {"max_pixels": 1 << 40}),
        ("noise", {"max_output_bytes": 50 << 20}),
    ],
)
def test_without_the_limit_the_document_comes_out(guarded, name, lifted):
    case = cases()[name]
    with pytest.raises(LimitExceededError, match=case.message):
        guarded.render("team", case.job(9))
    document = guarded.render("team", RenderJob(source=case.source, format=case.format, limits=Limits(**lifted)))
    assert document.pages > 500 or len(document.content) > 8192


def test_without_a_process_of_its_own_a_crash_ends_the_service():
    crashed = bare(cases()["deep-array"].source)
    assert (crashed.returncode < 0, crashed.stdout) == (True, b"")


def test_without_the_widest_net_a_panic_ends_the_service():
    panicked = bare(cases()["tiling-below-nothing"].source, format_name="png")
    assert (panicked.returncode, panicked.stdout) == (1, b"")
    assert b"PanicException" in panicked.stderr


def test_without_a_root_of_its_own_any_file_is_read(guarded, bait):
    source = f'#assert.eq(read("{bait}"), "{BAIT}")'
    with pytest.raises(TemplateError, match="file not found"):
        guarded.render("team", RenderJob(source=source))
    assert "bytes" in told(bare(source))


def test_without_landlock_a_link_is_followed(bait):
    """Nobody can plant a link, and if somebody could, the kernel would still say no."""
    job = RenderJob(source=cases()["read-link"].source.partition("\n")[0])
    for layers, is_read in ((LAYERS, False), (LAYERS - {"landlock"}, True)):
        runtime = bait.parent / f"runtime-{len(layers)}"
        runtime.mkdir(mode=0o755)
        with started(runtime_dir=runtime, layers=layers, allow_unsafe=not layers >= LAYERS) as pool:
            pool.render("team", RenderJob(source="first"))
            for folder in filter(Path.is_dir, runtime.glob("*/slots/*/*")):  # what Typst sees is one of them
                (folder / "link").symlink_to(bait)
            outcome = reads(lambda pool=pool: pool.render("team", job))
        assert outcome is is_read


def reads(render: Callable[[], RenderedDocument]) -> bool:
    outcome = tried(render)
    if isinstance(outcome, TemplateError):
        assert is_clean(outcome)
        assert BAIT not in outcome.message
        return False
    return outcome.pages == 1


def test_without_isolation_a_package_is_asked_for_over_the_network(monkeypatch, tmp_path):
    source = cases()["import-preview"].source
    with listening() as listener:
        proxy = f"http://127.0.0.1:{listener.port}"  # where Typst's downloader goes, so that no name is looked up
        environment = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "ALL_PROXY": proxy, "HOME": str(tmp_path)}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with started() as pool, pytest.raises(TemplateError, match="is not installed on this server"):
            pool.render("team", RenderJob(source=source))
        assert listener.heard == []
        bare(source, env=environment)
        assert listener.heard[0].startswith(b"CONNECT packages.typst.org:443")
        assert listener.hears()


def test_without_an_empty_environment_it_would_be_there(guarded, monkeypatch):
    """A template sees the caller's data as `sys.inputs`; the process's own variables are nowhere for it to see."""
    monkeypatch.setenv("AUTOMETTE_SECRET_KEY", BAIT)
    with pytest.raises(TemplateError, match="does not contain key"):
        guarded.render("team", cases()["inputs-missing"].job(9))
    for pid in (*guarded.status()["child_pids"], guarded.status()["zygote_pid"]):
        assert BAIT.encode() not in environment_of(pid)
        assert b"DATABASE_URL" not in environment_of(pid)
    shown = subprocess.run(["cat", "/proc/self/environ"], capture_output=True, check=True).stdout
    assert BAIT.encode() in shown


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:  # who is not root may not even look
        return b""


def test_without_scrubbing_a_message_shows_where_files_are(guarded, tmp_path):
    source = '#read("missing.txt")'
    with pytest.raises(RenderError) as caught:
        guarded.render("team", RenderJob(source=source))
    assert LEAKS.search(caught.value.message) is None
    message = told(bare(source, root=str(tmp_path)))["message"]
    assert os.path.realpath(tmp_path) in message
    assert LEAKS.search(message)
