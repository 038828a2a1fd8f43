"""What a template in Word can do with JSON."""

import base64
import io
import json

import pytest
from docx import Document
from docx.shared import Mm
from PIL import Image
from word_files import PNG, complex_field, parts_of, saved, texts, with_body, word_file

from tests.docx.word_files import fill
from workers.errors import TemplateError


def filled(content: bytes, data=None, files=None, **options) -> bytes:
    return fill(content, json.dumps(data or {}).encode(), (files or {}).get, **options)[0]


def lines(*paragraphs: str, data=None, **options) -> list[str]:
    return texts(filled(word_file(*paragraphs), data, **options))


def test_value_stands_in_every_part():
    content = word_file(
        "Dear {{ n }}", header="H {{ n }}", footer="F {{ n }}", footnote="N {{ n }}", title="T {{ n }}"
    )
    result = filled(content, {"n": "Ada & <Bob>"})
    document, parts = Document(io.BytesIO(result)), parts_of(result)
    assert document.paragraphs[1].text == "Dear Ada & <Bob>"
    assert document.sections[0].header.paragraphs[0].text == "H Ada & <Bob>"
    assert document.sections[0].footer.paragraphs[0].text == "F Ada & <Bob>"
    assert document.core_properties.title == "T Ada & <Bob>"
    assert b"N Ada &amp; &lt;Bob&gt;" in parts["word/footnotes.xml"]


def test_tag_that_word_cut_into_runs_is_one_tag():
    document = Document()
    paragraph = document.add_paragraph("Dear {")
    for piece in ("{ na", "me", " }", "}!"):
        paragraph.add_run(piece).bold = True
    assert texts(filled(saved(document), {"name": "Ada"})) == ["Dear Ada!"]


@pytest.mark.parametrize(
    ("template", "data", "text"),
    [
        ("{{ missing }}{{ missing.city.street }}", {}, ""),
        ("{{ nothing }}{{ none }}", {"nothing": None}, ""),
        ("{{ a }} {{ b }}", {"a": True, "b": False}, "true false"),
        ("{{ a }} {{ b }} {{ c }}", {"a": 3, "b": 3.5, "c": -0.25}, "3 3.5 -0.25"),
        ("{{ list }}", {"list": ["a", 1, None, "b"]}, "a, 1, , b"),
        ("{{ d }}", {"d": {"k": "ü"}}, '{"k": "ü"}'),
        ("{{ inv.values }}{{ inv.keys }}", {"inv": {}}, ""),
        ("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", {"d": {"a": 1, "b": 2}}, "a=1;b=2;"),
        ("{% for i in inv.items %}{{ i }};{% endfor %}", {"inv": {"items": [1, 2]}}, "1;2;"),
        ("{{ inv['items'][0] }} {{ inv.get }}", {"inv": {"items": [1], "get": "x"}}, "1 x"),
        ("{% if vip %}yes{% else %}no{% endif %}", {"vip": False}, "no"),
        ("{{ name|default('Alice') }}", {}, "Alice"),
        ("{{ name or 'Alice' }}", {"name": ""}, "Alice"),
        ("{% for i in [1,2,3,4] %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", {}, "12"),
        ("{% set l = [] %}{% do l.append(3) %}{{ l }}", {}, "3"),
        ("{% set n = namespace(sum=0) %}{% for i in x %}{% set n.sum = n.sum + i %}{% endfor %}{{ n.sum }}",
         {"x": [1, 2]}, "3"),
        ("{{ x|map(attribute='n')|join(' + ') }}", {"x": [{"n": "a"}, {"n": "b"}]}, "a + b"),
        ("{{ x|selectattr('ok')|map(attribute='n') }}", {"x": [{"n": 1, "ok": True}, {"n": 2, "ok": False}]}, "1"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(name) }}", {"name": "&"}, "<&>"),
        ("“{{ “a”|upper }}” {{ ‘b’ }}", {}, "“A” b"),  # noqa: RUF001
        ("{{ a > b }} {{ 1 < 2 and 'x' }}", {"a": 2, "b": 1}, "true x"),
        ("{{ t }}", {"t": "a\nb\tc"}, "a\nb\tc"),
        ("{{ t }}", {"t": "a\r\nb\x00\x0b\x07\ufdd0"}, "a\nb"),
        ("{{ 'a\x85' }}", {}, "a\x85"),
        ("{% raw %}{{ x }}{% endraw %}", {}, "{{ x }}"),
        ("{# a note #}x", {}, "x"),
        ("{_{ x }_}", {}, "{{ x }}"),
        ("{{ range(3)|join }}", {}, "012"),
        ("{{ self }}{{ data }}", {"data": "d"}, "d"),
        ("{{ 'x' ~ nothing ~ 'y' }}", {"nothing": ""}, "xy"),
    ],
)  # fmt: skip
def test_expression_prints(template, data, text):
    assert lines(template, data=data) == [text]


def test_loop_over_paragraphs():
    result = lines("Items:", "{%p for i in items %}", "{{ loop.index }}. {{ i.name }}", "{%p endfor %}", "End",
                   data={"items": [{"name": "Pen"}, {"name": "Ink"}]})  # fmt: skip
    assert result == ["Items:", "1. Pen", "2. Ink", "End"]


def test_condition_over_paragraphs():
    template = ("{%p if vip %}", "Thank you!", "{%p else %}", "Hello.", "{%p endif %}")
    assert lines(*template, data={"vip": True}) == ["Thank you!"]
    assert lines(*template) == ["Hello."]


def test_loop_over_rows_of_a_table():
    document = Document()
    table = document.add_table(4, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Name", "Price"
    table.cell(1, 0).text = "{%tr for line in invoice.items %}"
    table.cell(2, 0).text, table.cell(2, 1).text = "{{ line.name }}", "{{ line.price|currency('EUR') }}"
    table.cell(3, 0).text = "{%tr endfor %}"
    data = {"invoice": {"items": [{"name": "Pen", "price": 2.5}, {"name": "Ink\nblue", "price": 1200}]}}
    rows = Document(io.BytesIO(filled(saved(document), data))).tables[0].rows
    assert [[cell.text for cell in row.cells] for row in rows] == [
        ["Name", "Price"],
        ["Pen", "€2.50"],
        ["Ink\nblue", "€1,200.00"],
    ]


def test_loop_over_columns_of_a_table():
    document = Document()
    table = document.add_table(1, 3)
    table.cell(0, 0).text, table.cell(0, 1).text, table.cell(0, 2).text = (
        "{%tc for h in heads %}", "{{ h }}", "{%tc endfor %}"
    )  # fmt: skip
    result = Document(io.BytesIO(filled(saved(document), {"heads": ["a", "b", "c", "d"]}))).tables[0]
    assert [cell.text for cell in result.rows[0].cells] == ["a", "b", "c", "d"]


def test_data_is_the_same_for_every_render():
    """What a template does to data is forgotten after the render."""
    content, data = word_file("{% do x.append(1) %}{{ x }}"), {"x": []}
    assert [texts(filled(content, data)) for _ in range(2)] == [["1"], ["1"]]


def test_text_boxes_and_content_controls_are_filled():
    body = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>A {{ n }}</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:pict><v:shape xmlns:v='urn:schemas-microsoft-com:vml'><v:textbox><w:txbxContent><w:p><w:r>"
        "<w:t>B {{ n }}</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>"
    )
    xml = parts_of(filled(with_body(word_file(), body), {"n": "x"}))["word/document.xml"]
    assert b"A x" in xml
    assert b"B x" in xml


def test_address_in_a_link_field_is_filled():
    content = with_body(word_file(), complex_field(' HYPERLINK "https://example.com/{{ id }}" '))
    assert b"https://example.com/7" in parts_of(filled(content, {"id": 7}))["word/document.xml"]


def test_address_in_a_link_field_that_is_not_of_the_web_is_dropped():
    content = with_body(word_file(), complex_field(' HYPERLINK "{{ url }}" '))
    result, warnings = fill(content, b'{"url": "file:///etc/passwd"}', lambda _: None)
    assert b"instrText" not in parts_of(result)["word/document.xml"]
    assert len(warnings) == 1


# ---- Images -------------------------------------------------------------------------------------------

DATA_URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def picture(width=40, height=20, kind="PNG", mode="RGB", **options) -> bytes:
    target = io.BytesIO()
    Image.new(mode, (width, height)).save(target, kind, **options)
    return target.getvalue()


def shapes(content: bytes):
    return Document(io.BytesIO(content)).inline_shapes


@pytest.mark.parametrize(
    ("template", "data", "size"),
    [
        ("{{ logo }}", {"logo": {"image": "logo.png", "width": "40mm"}}, (Mm(40), Mm(20))),
        ("{{ logo }}", {"logo": {"image": "logo.png", "height": 10}}, (Mm(20), Mm(10))),
        ("{{ logo }}", {"logo": {"image": "logo.png", "width": "1in", "height": "72pt"}}, (914400, 914400)),
        ("{{ 'logo.png'|image(width='2cm') }}", {}, (Mm(20), Mm(10))),
        ("{{ name|image(30) }}", {"name": "logo.png"}, (Mm(30), Mm(15))),
        ("{{ logo|image(width=30) }}", {"logo": {"image": "logo.png", "height": 10}}, (Mm(30), Mm(10))),
        ("{{ uri|image(5, 5) }}", {"uri": DATA_URI}, (Mm(5), Mm(5))),
        ("{{r logo }}", {"logo": {"image": "logo.png", "width": 4}}, (Mm(4), Mm(2))),
        ("{{p logo }}", {"logo": {"image": "logo.png", "width": 4}}, (Mm(4), Mm(2))),
    ],
)
def test_image_is_placed_with_its_size(template, data, size):
    result = shapes(filled(word_file(f"Before {template} after"), data, {"logo.png": picture()}))
    assert [(shape.width, shape.height) for shape in result] == [size]


def test_wide_image_without_a_size_fits_the_page():
    (shape,) = shapes(filled(word_file("{{ 'w.png'|image }}"), files={"w.png": picture(4000, 100)}))
    assert (shape.width, shape.height) == (Mm(160), Mm(4))


def test_text_around_an_image_stays():
    result = filled(word_file("a {{ l }} b {{ l }} c"), {"l": {"image": "l.png"}}, {"l.png": picture()})
    assert texts(result) == ["a  b  c"]
    assert len(shapes(result)) == 2


def test_images_in_headers_and_loops():
    content = word_file("{% for i in x %}{{ i|image(5) }}{% endfor %}", header="{{ x[0]|image(5) }}")
    parts = parts_of(filled(content, {"x": ["a.png", "b.png"]}, {"a.png": picture(), "b.png": picture(9, 9)}))
    assert parts["word/document.xml"].count(b"<wp:inline") == 2
    assert parts["word/header1.xml"].count(b"<wp:inline") == 1
    assert b"media/" in parts["word/_rels/header1.xml.rels"]


def test_alternative_text_of_an_image_is_text():
    data = {"l": {"image": "l.png", "alt": 'Our "logo" <x>'}}
    xml = parts_of(filled(word_file("{{ l }}"), data, {"l.png": picture()}))["word/document.xml"]
    assert b'descr="Our &quot;logo&quot; &lt;x&gt;"' in xml


def test_missing_image_value_prints_nothing():
    assert lines("a{{ logo|image(20) }}b{{ none_such|image }}", data={"logo": None}) == ["ab"]


@pytest.mark.parametrize(
    ("kind", "mode", "kept"),
    [
        ("PNG", "RGBA", True),
        ("JPEG", "RGB", True),
        ("JPEG", "CMYK", False),
        ("WEBP", "RGB", False),
        ("GIF", "P", False),
    ],
)
def test_image_that_is_not_plain_is_handed_on_as_png(kind, mode, kept):
    content = picture(kind=kind, mode=mode)
    parts = parts_of(filled(word_file("{{ 'i'|image(9) }}"), files={"i": content}))
    (media,) = [part for name, part in parts.items() if name.startswith("word/media/")]
    assert (media == content) is kept
    assert kept or media.startswith(b"\x89PNG")


def test_image_turned_by_exif_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture(40, 20, "JPEG", exif=exif)
    (shape,) = shapes(filled(word_file("{{ 'i'|image(width=10) }}"), files={"i": turned}))
    assert (shape.width, shape.height) == (Mm(10), Mm(20))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.png", "there is no image 'none.png' among the assets"),
        ("ftp://example.com/x.png", "is an address that cannot be fetched; give one that begins with https://"),
        ("file:///etc/passwd", "is an address"),
        ("data:text/html,<b>", "is not one of an image"),
        ("data:image/png;base64,!!", "is not valid base64"),
        ("data:image/png;base64,AAAA", "the image in the data URI is not a PNG, JPEG, GIF, WebP or BMP"),
        ("text", "the image 'text' is not a PNG"),
        ("half", "the image 'half' is damaged"),
        ("vast", "the image 'vast' has more than 25 megapixels"),
        ("eps", "the image 'eps' is not a PNG"),
        (7, "an image is named by a text"),
    ],
)
def test_image_that_is_none_is_refused(value, message):
    files = {
        "text": b"hello",
        "half": picture(400, 400)[:200],
        "vast": picture(6000, 6000, mode="1"),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }
    with pytest.raises(TemplateError) as caught:
        filled(word_file("a", "b {{ x|image }}"), {"x": value}, files)
    assert message in caught.value.message
    assert caught.value.message.startswith('body, paragraph 2 ("b {{ x|image }}"): ')


@pytest.mark.parametrize("size", ["wide", "-3", 0, "0mm", "2km", "1e9", True, "2001mm", [1]])
def test_size_that_is_none_is_refused(size):
    with pytest.raises(TemplateError, match="is not a size for an image"):
        filled(word_file("{{ x }}"), {"x": {"image": DATA_URI, "width": size}})


def test_image_in_a_footnote_is_refused_in_words():
    with pytest.raises(TemplateError, match="footnotes: an image cannot stand in a footnote"):
        filled(word_file(footnote="{{ x|image }}"), {"x": DATA_URI})


# ---- Rich text ----------------------------------------------------------------------------------------


def test_rich_text_has_its_styles():
    value = {
        "richtext": [
            "plain ",
            {"text": "bold", "bold": True, "color": "#c00000", "size": 14},
            {"text": "italic", "italic": True, "underline": True, "strike": True, "font": "Arial"},
            {"text": "two\nlines", "break": True},
            {"text": "end"},
        ]
    }
    document = Document(io.BytesIO(filled(word_file("<{{ x }}>"), {"x": value})))
    runs = [run for run in document.paragraphs[0].runs if run.text]
    assert [run.text for run in runs] == ["<", "plain ", "bold", "italic", "two\nlines\n", "end", ">"]
    bold, italic = runs[2], runs[3]
    assert (bold.bold, str(bold.font.color.rgb), bold.font.size.pt) == (True, "C00000", 14)
    assert (italic.italic, italic.underline, italic.font.strike, italic.font.name) == (True, True, True, "Arial")
    assert [runs[0].bold, runs[1].bold, runs[5].bold] == [None, None, None]


def test_rich_text_keeps_the_style_around_it():
    document = Document()
    document.add_paragraph().add_run("a {{ x|richtext }} b").italic = True
    result = Document(io.BytesIO(filled(saved(document), {"x": ["n", {"text": "b", "bold": True, "italic": False}]})))
    runs = [(run.text, run.italic, run.bold) for run in result.paragraphs[0].runs if run.text]
    assert runs == [("a ", True, None), ("n", True, None), ("b", False, True), (" b", True, None)]


@pytest.mark.parametrize("template", ["{{ x }}", "{{r x }}", "{{p x }}", "{{ x.richtext|richtext }}"])
def test_rich_text_in_every_way_to_write_it(template):
    assert lines(template, data={"x": {"richtext": [{"text": "bold", "bold": True}]}}) == ["bold"]


def test_link_in_rich_text():
    value = {"richtext": [{"text": "here", "link": "https://example.com/?a=1&b=2"}]}
    result = filled(word_file("{{ x }}", header="{{ x }}"), {"x": value})
    (link,) = Document(io.BytesIO(result)).paragraphs[0].hyperlinks
    assert (link.text, link.address) == ("here", "https://example.com/?a=1&b=2")
    assert b"https://example.com" in parts_of(result)["word/_rels/header1.xml.rels"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"text": "x", "link": "file:///etc/passwd"}, "'link' of a run of rich text must be a web or mail address"),
        ({"text": "x", "link": "javascript:alert(1)"}, "must be a web or mail address"),
        ({"text": "x", "color": "red"}, "six hexadecimal digits"),
        ({"text": "x", "size": "big"}, "'size' of a run of rich text"),
        ({"text": "x", "size": 1e9}, "'size' of a run of rich text"),
        ({"text": "x", "bold": "yes"}, "'bold' of a run of rich text is true or false"),
        ({"text": "x", "font": 3}, "'font' of a run of rich text"),
        ({"text": "x", "break": "column"}, "'break' of a run of rich text"),
        ({"text": "x", "onclick": 1}, "a run of rich text has no 'onclick'"),
        (7, "a run of rich text is a text or an object"),
    ],
)
def test_wrong_run_is_refused(run, message):
    with pytest.raises(TemplateError) as caught:
        filled(word_file("{{ x|richtext }}"), {"x": [run]})
    assert message in caught.value.message


def test_style_cannot_bring_markup():
    value = {"richtext": [{"text": "</w:t><w:x/>", "font": 'Arial"/><w:x/>'}]}
    assert b"<w:x/>" not in parts_of(filled(word_file("{{ x }}"), {"x": value}))["word/document.xml"]


# ---- Data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1]", "data must be a JSON object"),
        (b"{", "data is not valid JSON"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "data is not valid JSON"),
        (b"\xff\xfe", "data is not valid JSON"),
    ],
)
def test_data_that_is_no_object_is_refused(data, message):
    with pytest.raises(TemplateError, match=message):
        fill(word_file("{{ a }}"), data, lambda _: None)
