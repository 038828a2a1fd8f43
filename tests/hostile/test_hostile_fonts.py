"""Hostile fonts: refused at their upload or drawn somehow, in a child that lives on or dies alone."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typst
from docx import Document

from tests.docx.word_files import saved
from tests.hostile.corpus import is_clean, tried
from tests.hostile.fonts import HOSTILE, ODD, UNREADABLE, built, hostile_font, lato, tables
from tests.hostile.listening import Listener, listening
from workers.errors import RenderError, TemplateError
from workers.job import Limits, RenderedDocument, RenderJob
from workers.pool import EnginePool

SET = "#set text(font: data, fallback: true)\n#text(size: 40pt)[Hello AVfi 123]"
SHORT = Limits(wall_seconds=5)
OFFICE = (
    "glyph that is made of itself",
    "subroutine that calls itself",
    "everything at its most",
    "features of noise",
)
"""For LibreOffice, which takes a second for each."""


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, EnginePool]]:
    made = {name: EnginePool(engine=name, children=1, spares=0) for name in ("typst", "canvas", "docx")}
    for pool in made.values():
        pool.start()
    yield made
    for pool in made.values():
        pool.close()


@pytest.fixture
def stored() -> Iterator[Path]:
    """A folder for files named by their digest, as the service keeps them, that other users may pass through."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def unharmed(pools, listener):
    zygotes = {name: pool.status()["zygote_pid"] for name, pool in pools.items()}
    yield
    assert pools["typst"].render("another team", RenderJob(source="fine")).fonts_used == ("Libertinus Serif",)
    for name, pool in pools.items():
        assert (pool.status()["zygote_pid"], pool.status()["working"]) == (zygotes[name], 0)
    assert listener.heard == []


def inspected(pool: EnginePool, content: bytes) -> RenderedDocument:
    """What the engine says of an upload; `found` holds its families. Raises RenderError."""
    return pool.render("a team", RenderJob(source="", format="font", files={"font.ttf": content}))


def keep(folder: Path, content: bytes) -> Path:
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


def drawn_or_refused(pool: EnginePool, job: RenderJob) -> None:
    outcome = tried(lambda: pool.render("a team", job))
    assert is_clean(outcome) if isinstance(outcome, RenderError) else outcome.pages == 1


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.usefixtures("unharmed")
def test_upload_that_is_no_usable_font_is_refused(pools, name):
    with pytest.raises(TemplateError, match="is not a TrueType or OpenType font"):
        inspected(pools["typst"], UNREADABLE[name]())


@pytest.mark.parametrize("name", ODD)
@pytest.mark.usefixtures("unharmed")
def test_odd_upload_has_a_name_that_can_be_shown_or_is_refused(pools, listener, name):
    outcome = tried(lambda: inspected(pools["typst"], hostile_font(name, listener.port)))
    if isinstance(outcome, RenderError):
        assert is_clean(outcome)
    else:
        assert all(family.isprintable() and 0 < len(family) < 200 for family in outcome.found["families"])


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("unharmed")
def test_font_that_skipped_its_inspection_harms_nobody(pools, stored, listener, name):
    font = keep(stored, hostile_font(name, listener.port))
    for family in ("Lato", "XCharter"):
        layer = {"type": "text", "x": 0, "y": 0, "width": 90, "height": 90, "text": "Hello", "font_family": family}
        canvas = json.dumps({"width": 90, "height": 90, "layers": [layer]})
        data = json.dumps(family).encode()
        for format_name in ("pdf", "png", "svg"):
            job = RenderJob(source=SET, data=data, format=format_name, fonts=(font,), limits=SHORT)
            drawn_or_refused(pools["typst"], job)
        drawn_or_refused(pools["canvas"], RenderJob(source=canvas, format="png", fonts=(font,), limits=SHORT))
        if "CFF" not in name and "subroutine" not in name:
            break


@pytest.mark.parametrize("name", OFFICE)
@pytest.mark.usefixtures("unharmed")
def test_libreoffice_with_such_a_font_harms_nobody(pools, stored, listener, name):
    document = Document()
    for family in ("Lato", "XCharter"):
        document.add_paragraph().add_run("Hello AVfi").font.name = family
    font = keep(stored, hostile_font(name, listener.port))
    drawn_or_refused(pools["docx"], RenderJob(source=saved(document), fonts=(font,)))


# ---- Controls ---------------------------------------------------------------------------------------------


def test_good_font_is_taken_and_used(pools, stored):
    """The control of the corpus: what is damaged here was fine, also after being taken apart and built again."""
    for content in (lato(), built(tables(lato()))):
        assert inspected(pools["typst"], content).found["families"] == ["Lato"]
        job = RenderJob(source=SET, data=b'"Lato"', fonts=(keep(stored, content),))
        assert pools["typst"].render("a team", job).fonts_used == ("Lato",)


def test_without_inspection_nobody_would_be_told(stored):
    """Typst passes over what it cannot read, and takes any name."""
    keep(stored, UNREADABLE["WOFF called TTF"]()).rename(stored / "a.ttf")
    assert families_of(stored) == []
    (stored / "a.ttf").write_bytes(UNREADABLE["name with control characters"]())
    assert not families_of(stored)[0].isprintable()


def families_of(folder: Path) -> list[str]:
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder)])
    return list(fonts.families())
