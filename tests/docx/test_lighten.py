"""What is left out of the copy that LibreOffice converts makes no difference to the document."""

import io

from docx import Document

from workers.docx.fonts import fonts_asked
from workers.docx.lighten import without_unused_table_styles
from workers.docx.package import read_parts
from workers.docx.remembered import Remembered
from workers.docx.sanitise import sanitise
from workers.docx.xml import W, parse_part


def parts_with_table(style: str | None) -> dict[str, bytes]:
    document = Document()
    if style:
        document.add_table(2, 2, style=style)
    target = io.BytesIO()
    document.save(target)
    return read_parts(sanitise(target.getvalue())[0])


def table_styles(parts: dict[str, bytes]) -> set[str]:
    root = parse_part(parts["word/styles.xml"], "styles")
    return {style.get(W + "styleId") for style in root.iter(W + "style") if style.get(W + "type") == "table"}


def test_table_styles_that_nothing_names_go():
    parts = parts_with_table(None)
    before = dict(parts)
    assert len(table_styles(parts)) > 50
    assert table_styles(without_unused_table_styles(parts)) == {"TableNormal"}
    assert parts == before


def test_the_style_of_a_table_stays_and_what_it_is_based_on():
    parts = parts_with_table("Medium Grid 3 Accent 2")
    assert table_styles(without_unused_table_styles(parts)) == {"TableNormal", "MediumGrid3-Accent2"}
    derived = parts["word/styles.xml"].replace(
        b"</w:styles>",
        b'<w:style w:type="table" w:styleId="Mine"><w:basedOn w:val="LightList"/></w:style>'
        b'<w:style w:type="paragraph" w:styleId="P"><w:link w:val="ColorfulGrid"/></w:style></w:styles>',
    )
    header = (
        b"<w:hdr xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:x w:val = 'Mine'/></w:hdr>"
    )
    kept = table_styles(without_unused_table_styles(parts | {"word/styles.xml": derived, "word/header9.xml": header}))
    assert kept == {"TableNormal", "MediumGrid3-Accent2", "Mine", "LightList", "ColorfulGrid"}


def test_other_styles_stay():
    parts = parts_with_table(None)
    before = parse_part(parts["word/styles.xml"], "styles")
    after = parse_part(without_unused_table_styles(parts)["word/styles.xml"], "styles")
    for kind in ("paragraph", "character", "numbering"):
        names = [
            [s.get(W + "styleId") for s in root.iter(W + "style") if s.get(W + "type") == kind]
            for root in (before, after)
        ]
        assert names[0] == names[1] != []


def test_documents_without_styles_are_left_alone():
    assert without_unused_table_styles({"word/document.xml": b"<x/>"}) == {"word/document.xml": b"<x/>"}


def test_second_styles_are_dropped_without_a_warning():
    target = io.BytesIO()
    Document().save(target)
    assert any("stylesWithEffects" in name for name in read_parts(target.getvalue()))
    clean, warnings = sanitise(target.getvalue())
    assert not any("stylesWithEffects" in name for name in read_parts(clean))
    assert warnings == ()
    assert sanitise(clean) == (clean, ())


def test_findings_are_remembered_by_content_and_bounded():
    asked = []

    def find(content: bytes) -> int:
        asked.append(content)
        return len(content)

    remembered = Remembered[int](2)
    assert [remembered.get(content, find) for content in (b"a", b"bb", b"a", b"ccc", b"bb")] == [1, 2, 1, 3, 2]
    assert asked == [b"a", b"bb", b"ccc", b"bb"]


def test_fonts_for_other_scripts_count_only_when_asked():
    document = Document()
    run = document.add_paragraph().add_run("x")
    run.font.name = "Latin Font"
    run._element.rPr.rFonts.set(W + "eastAsia", "Han Font")
    target = io.BytesIO()
    document.save(target)
    parts = read_parts(target.getvalue())
    assert "Latin Font" in fonts_asked(parts)
    assert "Han Font" not in fonts_asked(parts)
    assert {"Latin Font", "Han Font"} <= set(fonts_asked(parts, all_scripts=True))
