import io
import json
import re

import pypdf
import pytest
import rendercv_fonts
import typst

from templates_app.fields import extract_typst_fields
from templates_app.starters import load_starters
from templates_app.word_fields import merge_fields
from workers.docx.fields import extract_docx_fields
from workers.docx.sanitise import sanitise

STARTERS = {starter.slug: starter for starter in load_starters()}
MINUS = "\N{MINUS SIGN}"
MONEY_LINE = {"description": "Work", "quantity": 1, "price": 100}


@pytest.fixture(scope="module")
def fonts():
    return typst.Fonts(include_system_fonts=False, font_paths=[str(rendercv_fonts.package_folder_path)])


@pytest.fixture
def compiled(tmp_path, fonts):
    """Compiles a starter as the engine does: with `data` bound on a line before the source."""

    def compile_starter(slug, data, **options):
        (tmp_path / "data.json").write_text(json.dumps(data))
        (tmp_path / "main.typ").write_text('#let data = json("data.json")\n' + STARTERS[slug].source)
        compiler = typst.Compiler(str(tmp_path / "main.typ"), root=str(tmp_path), font_paths=fonts)
        output, warnings = compiler.compile_with_warnings(format="pdf", **options)
        assert [warning.message for warning in warnings] == []
        return pypdf.PdfReader(io.BytesIO(output))

    return compile_starter


def pages(document):
    return [re.sub(r"\s+", " ", page.extract_text()) for page in document.pages]


def test_there_are_an_invoice_a_certificate_and_a_report():
    assert sorted(STARTERS) == ["certificate", "invoice", "report"]
    for starter in STARTERS.values():
        assert starter.engine == "typst"
        assert starter.name
        assert starter.description


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("starter.json", "{}", "must give a name"),
        ("starter.json", '{"name": "A", "engine": "typst", "description": ""}', "must give a name"),
        ("starter.json", "[]", "must hold an object"),
        ("data.json", "{", "is not JSON"),
        ("data.json", None, "cannot be read"),
        ("template.typ", None, "cannot be read"),
        ("template.typ", " \n", "is empty"),
        (
            "starter.json",
            '{"name": "A", "engine": "typst", "description": "A", "fields": [{"key": "a"}]}',
            "must list the fields of a Word file, and of nothing else",
        ),
    ],
)
def test_incomplete_starter_is_refused_by_name(tmp_path, file, content, message):
    folder = tmp_path / "letter"
    folder.mkdir()
    (folder / "starter.json").write_text('{"name": "Letter", "engine": "typst", "description": "A letter."}')
    (folder / "data.json").write_text("{}")
    (folder / "template.typ").write_text("Dear reader")
    assert [starter.slug for starter in load_starters(tmp_path)] == ["letter"]
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(ValueError, match=rf"letter/{file} {message}"):
        load_starters(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "starter.json",
            '{"name": "A", "engine": "docx", "description": "A"}',
            "must list the fields of a Word file",
        ),
        ("template.docx", None, "cannot be read"),
        ("template.docx", b"", "is empty"),
    ],
)
def test_incomplete_word_starter_is_refused_by_name(tmp_path, file, content, message):
    folder = tmp_path / "letter"
    folder.mkdir()
    about = {"name": "Letter", "engine": "docx", "description": "A letter.", "fields": [{"key": "a"}]}
    (folder / "starter.json").write_text(json.dumps(about))
    (folder / "data.json").write_text("{}")
    (folder / "template.docx").write_bytes(b"\x00\xff is not text")
    (starter,) = load_starters(tmp_path, engines=["docx"])
    assert (starter.source, starter.fields) == (b"\x00\xff is not text", [{"key": "a"}])
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"letter/{file} {message}"):
        load_starters(tmp_path)


@pytest.mark.parametrize("slug", ["offer-letter", "quote"])
def test_word_starter_is_clean_and_its_fields_are_those_of_the_document(slug):
    """Nobody looks at it again when it is seeded: this is the look."""
    (starter,) = (each for each in load_starters(engines=["docx"]) if each.slug == slug)
    assert sanitise(starter.source) == (starter.source, ())
    inferred, warnings = extract_docx_fields(starter.source)
    assert warnings == ()
    assert {field["key"]: field["type"] for field in starter.fields} == {each.key: each.type for each in inferred}
    assert merge_fields([], starter.fields) == list(starter.fields)
    for field in starter.fields:
        assert list(field) == ["key", "label", "type", "required", "example"]
        assert field["label"]
        assert field["example"]
        if field["type"] == "array":
            assert json.loads(field["example"])
    assert set(starter.data) == {field["key"] for field in starter.fields}


@pytest.mark.parametrize(("slug", "count"), [("invoice", 1), ("certificate", 1), ("report", 7)])
def test_starter_renders_without_data_and_with_its_sample(compiled, slug, count):
    assert len(compiled(slug, {}).pages) == count
    assert len(compiled(slug, dict(STARTERS[slug].data)).pages) == count


@pytest.mark.parametrize("slug", STARTERS)
def test_null_counts_as_missing(compiled, slug):
    fields = [field.key for field in extract_typst_fields(STARTERS[slug].source)]
    assert pages(compiled(slug, dict.fromkeys(fields))) == pages(compiled(slug, {}))


@pytest.mark.parametrize("slug", STARTERS)
def test_sample_data_is_declared_by_the_source(slug):
    declared = {field.key: field.example for field in extract_typst_fields(STARTERS[slug].source)}
    assert set(STARTERS[slug].data) <= set(declared)
    assert all(declared[key] for key in STARTERS[slug].data)


@pytest.mark.parametrize("slug", STARTERS)
@pytest.mark.parametrize("standard", ["ua-1", "a-2b"])
def test_starter_meets_the_standard(compiled, slug, standard):
    document = compiled(slug, dict(STARTERS[slug].data), pdf_standards=[standard])
    assert document.metadata.title
    assert document.trailer["/Root"]["/Lang"].startswith("en")


@pytest.mark.parametrize("slug", STARTERS)
def test_starter_uses_only_the_fonts_that_come_along(compiled, slug):
    names = set()
    for page in compiled(slug, {}).pages:
        for font in page["/Resources"].get("/Font", {}).values():
            names.add(font.get_object()["/BaseFont"].split("+")[-1].split("-")[0])
    assert names <= {"SourceSans3", "EBGaramond", "LibertinusSerif"}


# ---- Invoice ----------------------------------------------------------------------------------------


def test_invoice_totals_are_the_sums_of_rounded_lines(compiled):
    (text,) = pages(compiled("invoice", dict(STARTERS["invoice"].data)))
    for part in [
        "Subtotal €11,192.73",
        "VAT 23% on €10,790.40 €2,481.79",
        "VAT 13.5% on €322.35 €43.52",
        "VAT 0% on €79.98 €0.00",
        "Total €13,718.04",
        f"Paid {MINUS}€1,500.00",
        "Amount due €12,218.04",
    ]:
        assert part in text


def test_invoice_rounds_halves_away_from_zero_and_without_binary_noise(compiled):
    items = [
        {"description": "A", "quantity": 1, "price": 1.005},
        {"description": "B", "quantity": 3, "price": 0.1},
        {"description": "C", "quantity": -1, "price": 0.005},
        {"description": "D", "quantity": 2, "price": 166.14999999999998},
    ]
    (text,) = pages(compiled("invoice", {"items": items, "tax_rate": 0}))
    assert "A 1 1.005 1.01" in text
    assert "B 3 0.10 0.30" in text
    assert f"C {MINUS}1 0.005 {MINUS}0.01" in text
    assert "D 2 166.15 332.30" in text
    assert "Total €333.60" in text
    assert "VAT" not in text.replace("VAT IE", "")


@pytest.mark.parametrize(
    ("data", "total"),
    [
        ({"currency": "JPY", "tax_rate": 10}, "¥110"),
        ({"currency": "KWD", "tax_rate": 0}, "KWD 100.000"),
        ({"currency": "CHF", "tax_rate": 8.1, "group_mark": "\u2019"}, "CHF 108.10"),
        ({"currency_symbol_after": True, "decimal_mark": ",", "group_mark": ".", "tax_rate": 19}, "119,00 €"),
        ({"items": [{**MONEY_LINE, "quantity": -1}], "tax_rate": 20}, f"{MINUS}€120.00"),
        ({"items": [{**MONEY_LINE, "price": "1234567.891"}], "tax_rate": 0}, "€1,234,567.89"),
        ({"items": [{**MONEY_LINE, "discount": 12.5}], "tax_rate": 0}, "€87.50"),
    ],
)
def test_invoice_writes_money_as_the_currency_asks(compiled, data, total):
    (text,) = pages(compiled("invoice", {"items": [MONEY_LINE], **data}))
    assert f"Total {total}" in text


@pytest.mark.parametrize("price", ["1,50", "ten", "1e3", "--1", {"amount": 3}])
def test_invoice_never_guesses_an_amount(compiled, price):
    with pytest.raises(typst.TypstError):
        compiled("invoice", {"items": [MONEY_LINE, {**MONEY_LINE, "price": price}]})


def test_invoice_of_sixty_lines_repeats_its_header(compiled):
    items = [{"description": f"Line {n}", "quantity": 1, "price": 10} for n in range(1, 61)]
    texts = pages(compiled("invoice", {"items": items, "tax_rate": 20}))
    assert len(texts) == 3
    assert all("Description Qty Price VAT Amount EUR" in text for text in texts)
    assert [f"Page {n} / 3" in texts[n - 1] for n in (1, 2, 3)] == [True, True, True]
    assert [len(re.findall(r"Line \d+", text)) for text in texts] == [22, 33, 5]
    assert "Total €720.00" in texts[-1]


@pytest.mark.parametrize("lines", range(15, 30))
def test_invoice_totals_stay_in_one_piece_beside_a_line(compiled, lines):
    items = [{"description": f"Line {n}", "quantity": 1, "price": 10} for n in range(lines)]
    last = pages(compiled("invoice", {"items": items}))[-1]
    assert f"Line {lines - 1}" in last
    assert "Subtotal" in last
    assert "Total" in last


def test_invoice_takes_lists_and_objects_as_json_text(compiled):
    sample = dict(STARTERS["invoice"].data)
    as_text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in sample.items()}
    assert pages(compiled("invoice", as_text)) == pages(compiled("invoice", sample))


def test_invoice_leaves_out_what_is_not_given(compiled):
    data = {"seller": {"name": "Sole Trader"}, "customer": "Ada Example", "items": [MONEY_LINE], "payment": []}
    (text,) = pages(compiled("invoice", {**data, "notes": "", "reference": "", "tax_rate": 0}))
    for absent in ["Subtotal", "VAT", "IBAN", "Thank you", "Your reference", "kestrelwick"]:
        assert absent not in text
    assert "Sole Trader" in text
    assert "Ada Example" in text


def test_invoice_comes_on_us_letter(compiled):
    box = compiled("invoice", {"paper": "us-letter"}).pages[0].mediabox
    assert (round(box.width), round(box.height)) == (612, 792)


def test_invoice_speaks_the_language_of_its_data(compiled):
    labels = {"title": "Rechnung", "total": "Gesamt", "page": "Seite"}
    data = {"language": "de-DE", "labels": labels, "months": ["Januar", "Februar", "März", "April"]}
    document = compiled("invoice", {**data, "date_format": "{day}. {month} {year}", "issue_date": "2026-03-02"})
    (text,) = pages(document)
    assert "Rechnung" in text
    assert "2. März 2026" in text
    assert document.trailer["/Root"]["/Lang"] == "de-DE"
    assert document.metadata.title == "Rechnung 2026-0417"


# ---- Certificate --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"recipient": "Þórgunnur Šárköziová-Nguyễn Łęcka"},
        {"recipient": "Wolfeschlegelsteinhausen " * 12},
        {"recipient": "x" * 300, "title": "Certificate " * 20, "course": "Course " * 60},
        {"details": "A long account of what was done. " * 80},
        {"signatories": [{"name": f"Professor {n}", "role": "Member of the board"} for n in range(8)]},
        {"signatories": ["Only one"], "paper": "us-letter"},
        {"recipient": "", "statement": "", "course": "", "details": "", "signatories": [], "organisation": ""},
        {"language": "he", "recipient": "נועה בן־דוד"},
    ],
)
def test_certificate_always_fills_one_landscape_page(compiled, data):
    (page,) = compiled("certificate", data).pages
    assert page.mediabox.width > page.mediabox.height


def test_certificate_shows_what_it_was_given(compiled):
    data = {"recipient": "Ada Example", "course": "Soldering", "date": "2026-12-01", "number": "X-1"}
    (text,) = pages(compiled("certificate", data))
    for part in ["Ada Example", "Soldering", "1 December 2026", "Certificate no. X-1"]:
        assert part in text


# ---- Report -------------------------------------------------------------------------------------------


def test_report_numbers_its_pages_and_lists_its_contents(compiled):
    texts = pages(compiled("report", {}))
    assert "Page" not in texts[0]
    assert [f"Page {n} / 7" in texts[n - 1] for n in range(2, 8)] == [True] * 6
    assert "1 The year in figures 4" in texts[1]
    assert "4 All figures by month and berth 6" in texts[1]


def test_report_table_runs_over_pages_with_header_and_total(compiled):
    texts = pages(compiled("report", {}))
    header = "Month Berth Calls Connected Hours MWh"
    assert [header in text for text in texts] == [False] * 5 + [True, True]
    assert "2025 All berths 1,096 850 4,556 1,363.7" in texts[6]
    assert "December Ferry Pier" in texts[6]


def test_report_sets_footnotes_on_the_page_of_their_mark(compiled):
    sections = [{"heading": "One", "blocks": ["Said so.^[A note.] *Not* #markup"]}, "Two"]
    texts = pages(compiled("report", {"sections": sections, "summary": [], "key_figures": []}))
    assert len(texts) == 3
    assert "A note." in texts[2]
    assert "*Not* #markup" in texts[2]
    assert "^[" not in texts[2]


def test_report_with_odd_blocks_still_renders(compiled):
    blocks = [
        {"chart": {"kind": "lines", "series": [{"name": "A", "values": [1, None, -3]}]}},
        {"chart": {"categories": [f"C{n}" for n in range(40)], "series": [{"values": [n * 1e6 for n in range(40)]}]}},
        {"chart": {"series": [{"values": [0, 0]}]}},
        {"chart": {}},
        {"table": {"columns": list("ABCDEFGH"), "rows": [["Longword" * 6] * 8] * 30}},
        {"table": {}},
        {"unknown": 1},
        {"quote": "A quote"},
        {"note": "A note"},
        "x" * 400,
        None,
        5,
    ]
    document = compiled("report", {"sections": [{"heading": "Odd", "blocks": blocks}, {}], "key_figures": ["7"]})
    assert len(document.pages) > 4


def test_report_without_sections_has_no_contents(compiled):
    texts = pages(compiled("report", {"sections": [], "key_figures": []}))
    assert len(texts) == 2
    assert "Contents" not in " ".join(texts)
