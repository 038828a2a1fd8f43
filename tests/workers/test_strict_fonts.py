"""`strict_fonts`: a render fails instead of being set in another font than it asks for."""

import io
import json

import pytest
from docx import Document

from workers.docx.office import find_program
from workers.errors import EngineError, TemplateError
from workers.job import Limits, RenderJob

STRICT = {"strict_fonts": True}
NOT_INSTALLED = 'font family "{}" is not installed, and strict_fonts asks for no other'


def card(family: str) -> str:
    text = {"type": "text", "x": 0, "y": 0, "width": 90, "height": 30, "text": "Hello", "font_family": family}
    return json.dumps({"width": 100, "height": 40, "layers": [text]})


def letter(family: str) -> bytes:
    document = Document()
    document.styles["Normal"].font.name = family
    document.add_paragraph("Hello", style="Normal")
    document.add_paragraph("bullet", style="List Bullet")
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


@pytest.mark.parametrize("format_name", ["pdf", "png", "svg"])
def test_typst_names_the_family_and_the_line(render, format_name):
    source = '#let family = "Not" + "here"\n#text(font: family)[Hello]'
    with pytest.raises(TemplateError) as caught:
        render(source, format=format_name, options=STRICT)
    assert caught.value.message == "line 2, column 13: " + NOT_INSTALLED.format("nothere")
    assert (caught.value.line, caught.value.column) == (2, 13)
    assert render(source, format=format_name).warnings == ("line 2, column 13: unknown font family: nothere",)
    assert render('#set text(font: "Lato")\nHello', format=format_name, options=STRICT).pages == 1


def test_canvas_names_the_family(make_pool, pool):
    canvas = make_pool(engine="canvas", spares=0)
    with pytest.raises(TemplateError) as caught:
        canvas.render("a", RenderJob(source=card("Nothere"), format="png", options=STRICT))
    assert caught.value.message == NOT_INSTALLED.format("Nothere")
    assert canvas.render("a", RenderJob(source=card("Nothere"), format="png")).pages == 1


def test_word_says_what_stood_in(make_pool):
    pool = make_pool(engine="docx", spares=0, memory_bytes=2 << 30)
    limits = Limits(memory_bytes=2 << 30)
    strict = RenderJob(source=letter("Nothere"), options=STRICT, limits=limits)
    if find_program() is None:
        with pytest.raises(EngineError, match="needs LibreOffice"):
            pool.render("a", strict)
        return
    with pytest.raises(TemplateError, match="stands in for fonts of the document that are not installed, and strict"):
        pool.render("a", strict)
    lax = pool.render("a", RenderJob(source=letter("Nothere"), limits=limits))
    assert any("stands in for fonts" in warning for warning in lax.warnings)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_it_is_true_or_false(render, value):
    with pytest.raises(TemplateError, match='option "strict_fonts" must be true or false'):
        render("Hello", options={"strict_fonts": value})
