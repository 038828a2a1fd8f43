"""Hostile Word files in the engine that they are for: a confined child with LibreOffice in it, from a real pool.

Those that cleaning keeps or cleans go in as they were before cleaning, so that the child alone must hold them.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from tests.docx.word_files import word_file
from tests.hostile.corpus import is_clean, tried
from tests.hostile.docx_files import HOSTILE, JINJA_BOMBS, REFUSED, SECRET, Bait, hostile_docx, jinja_bomb
from tests.hostile.images import chart, encoded
from tests.hostile.listening import Listener, listening
from tests.hostile.office import IS_INSTALLED, convert, images_of, text_of
from workers.errors import LimitExceededError, RenderError
from workers.job import Limits, RenderedDocument, RenderJob
from workers.pool import EnginePool

PROGRAMS = ("gs", "pstoedit", "convert", "inkscape")
REACHING = [name for name, case in HOSTILE.items() if case.outcome != REFUSED] + [
    "altChunk of HTML", "altChunk of a document", "linked OLE object", "macros in a docx",
]  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def bait(listener) -> Iterator[Bait]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "bait.docx").write_bytes(word_file(SECRET))
    (folder / "bait.png").write_bytes(encoded(chart(), "PNG"))
    for program in PROGRAMS:
        path = folder / "programs" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {program} >> {folder}/ran\n")
        path.chmod(0o755)
    yield Bait(listener.port, folder / "bait.docx", folder / "bait.png")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pool(bait) -> Iterator[EnginePool]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{bait.path.parent}/programs:{before}"  # the zygote must not hand it on
    pool = EnginePool(engine="docx", children=1, spares=0)
    pool.start()
    yield pool
    pool.close()
    os.environ["PATH"] = before


def rendered(pool: EnginePool, content: bytes, format_name: str = "pdf", **limits) -> RenderedDocument:
    job = RenderJob(source=content, data=b'{"name": "Ada"}', format=format_name, limits=Limits(**limits))
    return pool.render("a hostile team", job)


def render(pool: EnginePool, content: bytes, format_name: str = "pdf", **limits) -> bytes:
    return rendered(pool, content, format_name, **limits).content


@pytest.fixture
def unharmed(pool, listener):
    zygote = pool.status()["zygote_pid"]
    yield
    assert render(pool, word_file("Dear {{ name }}"), "docx").startswith(b"PK")
    assert pool.status()["zygote_pid"] == zygote
    assert (pool.status()["working"], pool.status()["running"]) == (0, True)
    assert listener.heard == []


@pytest.mark.parametrize("name", REACHING)
@pytest.mark.usefixtures("unharmed")
def test_file_that_skipped_cleaning_reaches_nothing(pool, bait, name):
    outcome = tried(lambda: rendered(pool, hostile_docx(name, bait)))
    if isinstance(outcome, RenderError):
        assert is_clean(outcome)
    else:
        document = pypdf.PdfReader(io.BytesIO(outcome.content))
        assert name == "altChunk of a document" or SECRET not in text_of(document)
        assert name != "linked image of this machine" or images_of(document) == 0
    assert not (bait.path.parent / "ran").exists()


def test_libreoffice_by_itself_runs_programs_for_postscript(bait, tmp_path):
    """The control: whatever comes first on the PATH under these names is run, with the stranger's file."""
    if not IS_INSTALLED:
        return
    convert(tmp_path / "eps", hostile_docx("PostScript called PNG", bait), path=f"{bait.path.parent}/programs")
    ran = bait.path.parent / "ran"
    assert set(ran.read_text().split()) >= {"gs", "pstoedit"}
    ran.unlink()


@pytest.mark.parametrize("name", JINJA_BOMBS)
@pytest.mark.usefixtures("unharmed")
def test_payload_that_no_sandbox_stops_meets_a_limit(pool, name):
    with pytest.raises(RenderError) as caught:
        render(pool, jinja_bomb(name), "docx", wall_seconds=1, memory_bytes=800 << 20)
    assert caught.value.code in ({"resource_limit", "template_error"} if "macro" in name else {"resource_limit"})
    assert not caught.value.retry
    assert 10 < len(caught.value.message) <= 500


def test_without_the_time_limit_the_loops_go_on(pool):
    """The control: the same loops, shorter, take longer than one limit and end well under another."""
    loops = word_file("{% for i in range(300) %}{% for j in range(9999) %}{% endfor %}{% endfor %}")
    with pytest.raises(LimitExceededError, match="timed out"):
        render(pool, loops, "docx", wall_seconds=0.02)
    assert render(pool, loops, "docx").startswith(b"PK")
