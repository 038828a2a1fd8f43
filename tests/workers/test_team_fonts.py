"""Fonts that a team has uploaded: every engine uses them, and only for that team."""

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from docx import Document
from PIL import Image

from tests.workers.conftest import FONTS
from workers.docx.font_sample import sample_document
from workers.docx.office import find_program
from workers.docx.package import read_parts
from workers.docx.team_fonts import Face, embed_fonts
from workers.errors import EngineError, EngineUnavailableError, TemplateError
from workers.job import Limits, RenderJob
from workers.runtime_dir import RuntimeDirectory

TYPST = '#set text(font: "Poppins")\nHello'
CANVAS = json.dumps(
    {
        "width": 200,
        "height": 60,
        "layers": [
            {"type": "text", "x": 0, "y": 0, "width": 200, "height": 60, "text": "Hello", "font_family": "Poppins"}
        ],
    }
)
OFFICE_MEMORY = 2 << 30


@pytest.fixture
def poppins(tmp_path) -> Path:
    """A font file as the service keeps it: named by its digest."""
    content = next(FONTS.rglob("Poppins-Bold.ttf")).read_bytes()
    path = tmp_path / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


def test_typst_uses_the_fonts_of_the_team(make_pool, poppins):
    pool = make_pool(spares=0)
    assert pool.render("a", RenderJob(source=TYPST)).fonts_used == ("Libertinus Serif",)
    assert pool.render("a", RenderJob(source=TYPST, fonts=(poppins,))).fonts_used == ("Poppins",)
    assert pool.render("b", RenderJob(source=TYPST)).fonts_used == ("Libertinus Serif",)


def test_canvas_uses_the_fonts_of_the_team(make_pool, poppins):
    pool = make_pool(engine="canvas", spares=0)
    without = pool.render("a", RenderJob(source=CANVAS, format="pdf"))
    assert without.warnings == ('font family "Poppins" is not installed; another one was used',)
    with_font = pool.render("a", RenderJob(source=CANVAS, format="pdf", fonts=(poppins,)))
    assert (with_font.fonts_used, with_font.warnings) == (("Poppins",), ())


def test_word_uses_the_fonts_of_the_team_and_leaves_the_document_as_it_is(make_pool, poppins):
    document = Document()
    document.add_paragraph().add_run("Hello {{ name }}").font.name = "Poppins"
    buffer = io.BytesIO()
    document.save(buffer)
    pool = make_pool(engine="docx", spares=0, memory_bytes=OFFICE_MEMORY)
    limits = Limits(memory_bytes=OFFICE_MEMORY)
    job = {"source": buffer.getvalue(), "data": b'{"name": "Ada"}', "format": "both", "limits": limits}
    if find_program() is None:
        with pytest.raises(EngineError, match="needs LibreOffice"):
            pool.render("a", RenderJob(**job))
        return
    without = pool.render("a", RenderJob(**job))
    with_font = pool.render("a", RenderJob(**job, fonts=(poppins,)))
    assert "Poppins" not in without.fonts_used
    assert "Poppins" in with_font.fonts_used
    assert [file.extension for file in with_font.files] == ["pdf", "docx"]
    assert len(with_font.files[1].content) < len(poppins.read_bytes())


def test_word_document_without_relationships_gets_its_fonts_as_well(make_pool, poppins):
    """Word always writes some; other programs need not."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sample_document("Poppins"))) as full, zipfile.ZipFile(target, "w") as bare:
        text = full.read("word/document.xml")
        named = text.replace(b"<w:r><w:t>", b'<w:r><w:rPr><w:rFonts w:ascii="Poppins"/></w:rPr><w:t>')
        bare.writestr("word/document.xml", named)
        bare.writestr("_rels/.rels", full.read("_rels/.rels"))
        types = full.read("[Content_Types].xml")
        start = types.index(b'<Override PartName="/word/styles')
        bare.writestr("[Content_Types].xml", types[:start] + b"</Types>")
    parts = read_parts(target.getvalue())
    embed_fonts(parts, [Face("Poppins", 700, slanted=False, path=poppins)], ["Poppins"])
    assert b"fontTable.xml" in parts["word/_rels/document.xml.rels"]
    assert "word/fonts/team0.odttf" in parts
    if find_program() is not None:
        pool = make_pool(engine="docx", spares=0, memory_bytes=OFFICE_MEMORY)
        job = RenderJob(source=target.getvalue(), fonts=(poppins,), limits=Limits(memory_bytes=OFFICE_MEMORY))
        assert "Poppins" in pool.render("a", job).fonts_used


def test_a_child_has_one_set_of_fonts_for_life(make_pool, poppins, tmp_path):
    other = next(FONTS.rglob("Lato-Regular.ttf"))
    second = tmp_path / hashlib.sha256(other.read_bytes()).hexdigest()
    shutil.copy(other, second)
    pool = make_pool(spares=0, children=4)
    for fonts in ((), (poppins,), (poppins, second), (poppins,), ()):
        pool.render("a", RenderJob(source=TYPST, fonts=fonts))
    assert len(pool.status()["teams"]["a"]) == 3
    assert pool.status()["counts"]["forks"] == 3


def test_a_font_that_has_gone_fails_the_render_and_not_the_pool(open_folder, make_pool):
    pool = make_pool(spares=0, runtime_dir=open_folder)
    with pytest.raises(EngineUnavailableError):
        pool.render("a", RenderJob(source=TYPST, fonts=(open_folder / ("0" * 64),)))
    assert list(open_folder.glob("automette-engine-*/slots/*")) == []
    assert pool.render("a", RenderJob(source=TYPST)).pages == 1


def test_an_upload_is_looked_at_in_a_child(render, poppins):
    found = render("", format="font", files={"font.ttf": poppins})
    assert found.found == {
        "families": ["Poppins"],
        "faces": [{"family": "Poppins", "style": "normal", "weight": 700}],
    }
    assert Image.open(io.BytesIO(found.content)).size[0] > 100


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"wOFF" + bytes(100), b"wOF2" + bytes(100), b"\0\1\0\0" + bytes(64)]
)
def test_what_is_no_font_is_refused(render, content):
    with pytest.raises(TemplateError, match="is not a TrueType or OpenType font"):
        render("", format="font", files={"font.ttf": content})


def test_fonts_come_in_one_order_whatever_the_disk_says(tmp_path):
    folder = tmp_path / "fonts"
    for name in ("z/a.ttf", "b.otf", "a.ttc", "note.txt", "a.TTF"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    runtime = RuntimeDirectory(tmp_path)
    try:
        lined_up = runtime.line_up_fonts([folder])
        assert [path.readlink().relative_to(folder).as_posix() for path in sorted(lined_up.glob("*/*"))] == [
            "a.TTF",
            "a.ttc",
            "b.otf",
            "z/a.ttf",
        ]
    finally:
        runtime.remove()
