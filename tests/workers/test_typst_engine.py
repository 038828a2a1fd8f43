"""What a Typst template gets and what comes out, through a real confined child."""

import json
import re
import zlib
from pathlib import Path

import pytest

from workers.errors import TemplateError
from workers.job import RenderJob

PDF_DATE = re.compile(rb"/CreationDate\(D:(\d{14})")


def test_data_is_bound_as_real_values(render):
    source = """
#assert.eq(type(data), dictionary)
#assert.eq(data.items.at(1).price, 12.5)
#assert.eq(data.paid, true)
#assert.eq(data.note, none)
#assert.eq(data.items.len(), 2)
= Invoice #data.number
"""
    data = {"number": "7", "items": [{"price": 1}, {"price": 12.5}], "paid": True, "note": None}
    assert render(source, data=json.dumps(data).encode()).pages == 1


def test_sys_inputs_holds_strings_only(render):
    source = """
#assert.eq(sys.inputs, (name: "Zoë", count: "3", ok: "true", gone: "null", list: "[1,\\"ö\\"]"))
#assert.eq(json(bytes(sys.inputs.list)).at(1), "ö")
"""
    data = {"name": "Zoë", "count": 3, "ok": True, "gone": None, "list": [1, "ö"]}
    assert render(source, data=json.dumps(data).encode()).pages == 1


def test_data_of_one_render_is_gone_in_the_next(render):
    render("#data.secret", data=b'{"secret": "x"}')
    with pytest.raises(TemplateError, match='dictionary does not contain key "secret"'):
        render("#data.secret", data=b"{}")


def test_data_may_be_any_json_value(render):
    assert render("#assert.eq(data, (1, 2)) #assert.eq(sys.inputs, (:))", data=b"[1, 2]").pages == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "data is not valid JSON: Expecting property name enclosed in double quotes"),
        (b'{"a": NaN}', "data is not valid JSON: NaN is not a JSON value"),
        (b"\xff", "data is not valid JSON: "),
        (b'{"a": "\\ud800"}', "data holds half of a surrogate pair"),
        (b"[" * 100_000 + b"]" * 100_000, "data is nested too deeply"),
        (b"[" * 500 + b"]" * 500, "data: failed to parse JSON (recursion limit exceeded"),
        (b"9" * 5000, "data is not valid JSON: Exceeds the limit (4300 digits)"),
    ],
)
def test_data_that_is_not_json_is_refused_with_a_sentence(render, data, message):
    with pytest.raises(TemplateError, match=re.escape(message)):
        render("Hi", data=data)


def test_heading_on_the_first_line_stays_a_heading(render):
    source = "= Title\n#context assert.eq(query(heading).len(), 1)"
    assert render(source).pages == 1


def test_byte_order_mark_is_not_text(render):
    assert render("\ufeff= Title\n#context assert.eq(query(heading).len(), 1)").pages == 1


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("= Title\n\n  #foo", 3, 4, "line 3, column 4: unknown variable: foo"),
        ("#foo", 1, 2, "line 1, column 2: unknown variable: foo"),
        ("äöü #foo", 1, 6, "line 1, column 6: unknown variable: foo"),
        ("a\r\n#foo", 2, 2, "line 2, column 2: unknown variable: foo"),
        ("#let f() = { nope }\n#f()", 1, 14, "line 1, column 14: unknown variable: nope"),
        ("#let x = (1,", 1, 10, "line 1, column 10: unclosed delimiter"),
        ('\n#panic("broken")', 2, 2, "line 2, column 2: panicked with: broken"),
    ],
)
def test_error_tells_line_and_column_of_the_callers_source(render, source, line, column, message):
    with pytest.raises(TemplateError) as caught:
        render(source)
    assert (caught.value.line, caught.value.column, caught.value.message) == (line, column, message)
    assert (caught.value.code, caught.value.retry) == ("template_error", False)


def test_error_in_a_module_names_the_module(render):
    with pytest.raises(TemplateError) as caught:
        render('#import "parts/a.typ": f\n#f()', files={"parts/a.typ": b"#let f() = [\n  #nope]"})
    assert caught.value.message == "parts/a.typ, line 2, column 4: unknown variable: nope"


def test_hints_are_passed_on(render):
    with pytest.raises(TemplateError) as caught:
        render("#let a = 2\n#let c = 1\n#(a-c)")
    assert caught.value.hints == (
        "if you meant to use subtraction, try adding spaces around the minus sign: `a - c`",
    )


def test_warnings_tell_the_line(render):
    document = render('Hello\n#text(font: "Nowhere")[x]')
    assert document.warnings == ("line 2, column 13: unknown font family: nowhere",)


@pytest.mark.parametrize("pages", [1, 2, 40, 300])
def test_pages_are_counted(render, pages):
    assert render("#pagebreak()\n" * (pages - 1)).pages == pages


def test_text_that_looks_like_a_page_tree_does_not_change_the_count(render):
    source = '#set document(title: "<</Type/Pages/Count 99>>", author: "/Root 1 0 R startxref 9 %%EOF")\nHi'
    assert render(source).pages == 1


def test_fonts_asked_and_used_are_told(render):
    document = render('#set text(font: ("Nowhere", "Source Sans 3"))\nHi *there* $x$ `code` #text(font: "Lato")[x]')
    assert document.fonts_asked == ("Nowhere", "Source Sans 3", "Lato")
    assert document.fonts_used == ("DejaVu Sans Mono", "Lato", "New Computer Modern Math", "Source Sans 3")


def test_same_job_gives_the_same_bytes_in_another_child(render):
    source = "= Report\n#table(columns: 2, ..range(20).map(n => [#n]))\n#datetime.today().display()"
    assert render(source, "one").content == render(source, "two").content


def test_today_and_the_pdf_date_are_those_of_the_job(render):
    source = "#assert.eq(datetime.today(), datetime(year: 2024, month: 2, day: 29))"
    document = render(source, options={"timestamp": 1_709_208_000})
    assert PDF_DATE.search(document.content)[1] == b"20240229120000"


@pytest.mark.parametrize("standard", ["1.4", "1.7", "2.0", "a-1b", "a-2b", "a-3b", "a-4"])
def test_pdf_standard_is_written_into_the_file(render, standard):
    content = render('#set document(title: "T")\nHi', options={"pdf_standard": standard}).content
    if standard.startswith("a-"):
        assert b"pdfaid:part" in content or b"pdfaid:part" in _inflated(content)
    else:
        assert content.startswith(b"%PDF-" + standard.encode())


def _inflated(pdf: bytes) -> bytes:
    streams = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return b"".join(zlib.decompressobj().decompress(stream) for stream in streams)


def test_accessible_pdf_without_title_is_the_templates_fault(render):
    with pytest.raises(TemplateError, match="title"):
        render("Hi", options={"pdf_standard": "ua-1"})


def test_pdf_is_tagged(render):
    assert b"/MarkInfo<</Marked true" in render("= Hi", options={"tagged": True}).content


def test_png_has_the_size_that_ppi_asks_for(render):
    document = render("#set page(width: 72pt, height: 36pt)\n", format="png", options={"ppi": 200})
    assert (document.media_type, document.extension, document.pages) == ("image/png", "png", 1)
    assert document.content[16:24] == (200).to_bytes(4) + (100).to_bytes(4)


def test_svg_is_svg(render):
    document = render('#set text(font: "Lato")\nHi', format="svg")
    assert document.content.startswith(b"<svg")
    assert (document.media_type, document.fonts_used) == ("image/svg+xml", ("Lato",))


def test_image_of_a_longer_document_is_its_first_page_with_a_warning(render):
    source = "#set page(width: 50pt, height: 50pt)\n#pagebreak()\n#set page(width: 80pt)\nsecond"
    first = render(source, format="png", options={"ppi": 72})
    second = render(source, format="png", options={"ppi": 72, "page": 2})
    assert (first.pages, first.warnings) == (2, ("the document has 2 pages; this image is page 1",))
    assert second.warnings == ("the document has 2 pages; this image is page 2",)
    assert (first.content[16:20], second.content[16:20]) == ((50).to_bytes(4), (80).to_bytes(4))


def test_page_that_the_document_lacks_is_refused(render):
    with pytest.raises(TemplateError, match='option "page" is 3, but the document has one page'):
        render("Hi", format="svg", options={"page": 3})


@pytest.mark.parametrize(
    ("format_name", "options", "message"),
    [
        ("gif", {}, 'format "gif" is not one of pdf, png, svg'),
        ("pdf", {"ppi": 100}, 'option "ppi" is not known for pdf'),
        ("pdf", {"pdf_standard": "a-9"}, 'option "pdf_standard" must be one of 1.4, '),
        ("pdf", {"pdf_standard": []}, "must be a name or a list of names"),
        ("pdf", {"tagged": False}, "every PDF is tagged"),
        ("png", {"ppi": 2400}, "between 36 and 600"),
        ("png", {"ppi": float("nan")}, "must be a number"),
        ("png", {"ppi": True}, "must be a number"),
        ("png", {"ppi": "144"}, "must be a number"),
        ("png", {"page": 0}, "whole number from 1"),
        ("svg", {"page": 1.5}, "whole number from 1"),
        ("pdf", {"timestamp": -1}, "whole number of seconds"),
    ],
)
def test_bad_option_is_refused_with_a_sentence(render, format_name, options, message):
    with pytest.raises(TemplateError, match=re.escape(message)):
        render("Hi", format=format_name, options=options)


def test_standards_that_exclude_each_other_are_refused(render):
    with pytest.raises(TemplateError):
        render("Hi", options={"pdf_standard": ["1.4", "2.0"]})


def test_function_calls_need_no_new_stack(make_pool):
    """Typst that does not know its stack's end maps a new one for each call: at least one page fault each."""
    calls = 20_000
    source = f"#let f(x) = calc.rem(x, 7)\n#let s = 0\n#for i in range({calls}) {{ s += f(i) }}\n#s"
    pool = make_pool(children=1, spares=0)  # a spare that is just made has thousands of its own
    pool.render("stack", RenderJob(source="warm"))
    (child,) = pool.status()["child_pids"]
    before = _page_faults(child)
    pool.render("stack", RenderJob(source=source))
    assert _page_faults(child) - before < calls / 2


def _page_faults(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])
