"""What an uploaded file may be and hold. What is refused says what to do; what is changed is told."""

import io
import struct
import zipfile

import pytest
from docx import Document
from word_files import (
    RELATIONSHIPS,
    changed,
    complex_field,
    packed,
    parts_of,
    texts,
    with_body,
    with_part,
    with_relationship,
    word_file,
)

from tests.docx.word_files import fill
from workers.docx.sanitise import sanitise
from workers.errors import TemplateError

HONEST = word_file("Dear {{ name }}", header="Ours", footer="Page", title="Letter", footnote="See {{ x }}")
MAIN = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
MICROSOFT = "http://schemas.microsoft.com/office/2006/relationships"


def replaced(name: str, old: bytes, new: bytes) -> bytes:
    def change(parts):
        assert old in parts[name]
        parts[name] = parts[name].replace(old, new)

    return changed(HONEST, change)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts_of(HONEST).items():
            archive.writestr(name, content)
        for name, content in entries:
            archive.writestr(name, content)
    return target.getvalue()


def claiming_little(content: bytes, name: str) -> bytes:
    """The zip with a false, small size for one entry in the list of its entries."""
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    return content[: at + 24] + struct.pack("<I", 10) + content[at + 28 :]


def encrypted(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + b"\x01\x00" + content[at + 10 :]


ENTITIES = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
CHART_TYPE = "application/vnd.openxmlformats-officedocument.drawingml.chart+xml"
WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def with_chart(workbook: bytes) -> bytes:
    content = with_part(HONEST, "word/charts/chart1.xml", b"<c:chart xmlns:c='c'/>", CHART_TYPE)
    content = with_part(content, "word/embeddings/book.xlsx", workbook, WORKBOOK_TYPE)
    content = with_relationship(content, "chart", "charts/chart1.xml")
    return with_relationship(content, "package", "../embeddings/book.xlsx", source="word/charts/chart1.xml")


REFUSED = {
    "nothing": (b"", "the file is empty"),
    "HTML": (b"<html><img src='http://127.0.0.1/x.png'></html>", "a web page (HTML); open it in Word"),
    "HTML with a doctype": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page (HTML)"),
    "RTF": (b"{\\rtf1 hello}", "but RTF"),
    "PDF": (b"%PDF-1.7 ...", "but a PDF"),
    "Word 2003 XML": (b'<?xml version="1.0"?><w:wordDocument/>', "but an XML file"),
    "Word 97": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "Word 97-2003 (.doc)"),
    "encrypted by Word": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + "EncryptedPackage".encode("utf-16-le"),
        "encrypted; remove its password",
    ),
    "lock file": (b"\x04Jane" + bytes(157), "the lock file that Word keeps"),
    "text": (b"hello", "the file is not a Word document;"),
    "ODT": (packed({"mimetype": b"application/vnd.oasis.opendocument.text"}), "OpenDocument"),
    "EPUB": (packed({"mimetype": b"application/epub+zip"}), "application/epub+zip"),
    "zip": (packed({"a.txt": b"a"}), "a zip archive, but not a Word document"),
    "workbook": (
        packed(
            {
                "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
                "xl/workbook.xml": b"<workbook/>",
            }
        ),
        "is an Excel workbook, not",
    ),
    "damaged zip": (HONEST[: len(HONEST) // 2], "the file is damaged"),
    "damaged entry": (HONEST.replace(b"PK\x01\x02", b"PK\x01\x03", 1), "the file is damaged"),
    "encrypted zip": (encrypted(HONEST), "encrypted; remove its password"),
    "zip slip": (zipped(("../../etc/cron.d/x", b"x")), "unsafe name"),
    "absolute name": (zipped(("/etc/passwd", b"x")), "unsafe name"),
    "backslashes": (zipped(("..\\evil.xml", b"x")), "unsafe name"),
    "drive letter": (zipped(("C:/evil.xml", b"x")), "unsafe name"),
    "same part twice": (zipped(("word/Document.xml", b"<x/>")), "two entries named"),
    "too many entries": (zipped(*((f"x/{n}", b"") for n in range(2000))), "more than 2000 entries"),
    "far too many entries": (b"PK\x03\x04" + b"PK\x01\x02" * 20_001, "more than 2000 entries"),
    "larger than an upload may be": (b"PK\x03\x04" + bytes(10 << 20), "larger than 10 MB"),
    "zip bomb": (zipped(("word/media/a.bin", bytes(30 << 20))), "more than 100 times its size"),
    "docm": (
        replaced("[Content_Types].xml", MAIN, b"application/vnd.ms-word.document.macroEnabled.main+xml"), "macros"
    ),
    "macros behind another type": (with_part(HONEST, "word/vbaProject.bin", b"x", "image/png"), "macros"),
    "macros by another name": (
        with_part(HONEST, "word/x.png", b"x", "application/vnd.ms-office.vbaProject"), "macros"
    ),
    "macros by relationship": (
        with_relationship(with_part(HONEST, "word/x.bin", b"x", "image/png"), f"{MICROSOFT}/vbaProject", "x.bin"),
        "macros (VBA); save it",
    ),
    "ActiveX": (
        with_part(HONEST, "word/activeX/activeX1.xml", b"<x/>", "application/vnd.ms-office.activeX+xml"),
        "ActiveX control",
    ),
    "ActiveX by element": (
        with_body(HONEST, '<w:p><w:r><w:object><w:control w:name="x"/></w:object></w:r></w:p>'), "ActiveX"
    ),
    "OLE object": (
        with_relationship(with_part(HONEST, "word/o.dat", b"x", "application/octet-stream"), "oleObject", "o.dat"),
        "(OLE); paste it as a picture",
    ),
    "linked OLE object": (with_relationship(HONEST, "oleObject", "file:///c:/x.xls", external=True), "(OLE)"),
    "OLE object by type": (
        with_part(HONEST, "word/x.dat", b"x", "application/vnd.openxmlformats-officedocument.oleObject"),
        "embedded object (OLE)",
    ),
    "embedded document": (
        with_relationship(with_part(HONEST, "word/embeddings/d.docx", b"x", "x/y"), "package", "embeddings/d.docx"),
        "an embedded file (OLE package)",
    ),
    "workbook that is not behind a chart": (
        with_relationship(with_part(HONEST, "word/w.xlsx", b"x", WORKBOOK_TYPE), "package", "w.xlsx"),
        "chart is damaged",
    ),
    "chart with a workbook with macros": (with_chart(packed({"xl/vbaProject.bin": b"x"})), "holds macros or objects"),
    "chart with something else": (with_chart(b"MZ..."), "the workbook behind a chart is damaged"),
    "altChunk by relationship": (
        with_relationship(with_part(HONEST, "word/c.html", b"x", "text/html"), "aFChunk", "c.html"),
        "(altChunk)",
    ),
    "altChunk by element": (with_body(HONEST, "<w:altChunk/>"), "(altChunk)"),
    "external entity": (
        replaced("word/document.xml", b"<w:document", ENTITIES.encode() + b"<w:document"),
        "declares a document type",
    ),
    "external entity in UTF-16": (
        changed(
            HONEST,
            lambda parts: parts.update(
                {"word/styles.xml": f'<?xml version="1.0" encoding="UTF-16"?>{ENTITIES}<x>&e;</x>'.encode("utf-16")}
            ),
        ),
        "declares a document type",
    ),
    "external entity in UTF-7": (
        changed(
            HONEST,
            lambda parts: parts.update(
                {
                    "word/styles.xml": b'<?xml version="1.0" encoding="UTF-7"?>'
                    + ENTITIES.replace("<!", "+ADwAIQ-").encode()
                    + b"<x/>"
                }
            ),
        ),
        "word/styles.xml",
    ),
    "external entity in a part that calls itself a picture": (
        with_part(HONEST, "word/header9.png", b"\n" + ENTITIES.encode() + b"<x/>", "image/png"),
        "declares a document type",
    ),
    "entities in relationships": (
        replaced("word/_rels/document.xml.rels", b"<Relationships", ENTITIES.encode() + b"<Relationships"),
        "declares a document type",
    ),
    "damaged part": (replaced("word/document.xml", b"</w:body>", b""), "word/document.xml of the file is damaged"),
    "Strict Open XML": (
        replaced("_rels/.rels", f"{RELATIONSHIPS}/officeDocument".encode(),
                 b"http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument"),
        '"Strict Open XML Document"; save it in Word as "Word Document (*.docx)"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_with_a_sentence(name):
    content, sentence = REFUSED[name]
    with pytest.raises(TemplateError) as caught:
        sanitise(content)
    assert sentence in caught.value.message
    assert "/site-packages/" not in caught.value.message


def test_size_is_counted_and_not_believed():
    """An entry that unpacks to more than it says is damaged, however large."""
    content = zipped(("word/media/a.bin", bytes(200 << 20)))
    with pytest.raises(TemplateError, match="the file is damaged"):
        sanitise(claiming_little(content, "word/media/a.bin"))


def test_all_entries_together_may_not_unpack_to_more_than_the_limit():
    entry = (bytes(range(256)) * (19 << 12)) + bytes(1 << 20)
    with pytest.raises(TemplateError, match="unpacks to more than 100 MB"):
        sanitise(zipped(*((f"word/media/{n}.bin", entry) for n in range(6))))


def test_picture_that_packs_well_is_fine():
    """The ratio alone says nothing: a real file holds an 11 MB picture packed 224:1."""
    clean, warnings = sanitise(zipped(("word/media/a.emf", bytes(11 << 20))))
    assert len(parts_of(clean)["word/media/a.emf"]) == 11 << 20
    assert warnings == ()


def test_honest_file_keeps_every_part():
    clean, warnings = sanitise(HONEST)
    assert warnings == ()
    changed = {"word/stylesWithEffects.xml", "[Content_Types].xml", "word/_rels/document.xml.rels"}
    kept = {name: content for name, content in parts_of(HONEST).items() if name not in changed}
    assert {name: content for name, content in parts_of(clean).items() if name not in changed} == kept
    assert parts_of(clean).keys() == parts_of(HONEST).keys() - {"word/stylesWithEffects.xml"}


def test_cleaning_twice_changes_nothing():
    once, _ = sanitise(with_relationship(HONEST, "image", "http://127.0.0.1/x.png", external=True))
    again, warnings = sanitise(once)
    assert (again, warnings) == (once, ())


def test_bytes_around_the_zip_are_left_behind():
    clean, _ = sanitise(HONEST[:-22] + HONEST[-22:-2] + b"\x05\x00<html")
    assert b"<html" not in clean


@pytest.mark.parametrize(
    ("kind", "target", "warning"),
    [
        ("image", "http://127.0.0.1:9/x.png", "removed the linked image to 'http://127.0.0.1:9/x.png'"),
        ("image", "file:///etc/passwd", "removed the linked image to 'file:///etc/passwd'"),
        ("hyperlink", "file:///etc/passwd", "removed the link to 'file:///etc/passwd'"),
        ("hyperlink", "\\\\server\\share\\x", "removed the link to"),
        ("hyperlink", "other.docx", "removed the link to 'other.docx'"),
        ("hyperlink", "javascript:alert(1)", "removed the link to 'javascript:alert(1)'"),
        ("attachedTemplate", "file:///C:/Normal.dotm", "removed the link to the template it was made from"),
        ("attachedTemplate", "http://127.0.0.1/evil.dotm", "removed the link to the template it was made from"),
        ("subDocument", "http://127.0.0.1/x.docx", "removed the linked subDocument to"),
        ("frame", "http://127.0.0.1/x.html", "removed the linked frame to"),
        ("mailMergeSource", "file:///x.mdb", "removed the data source of a mail merge"),
        ("video", "http://127.0.0.1/x.mp4", "removed the linked video to"),
    ],
)
def test_outside_reference_is_dropped_with_a_warning(kind, target, warning):
    body = '<w:p><w:hyperlink r:id="rIdX" xmlns:r="%s"><w:r><w:t>see</w:t></w:r></w:hyperlink></w:p>' % RELATIONSHIPS  # noqa: UP031
    clean, warnings = sanitise(with_relationship(with_body(HONEST, body), kind, target, external=True))
    assert len(warnings) == 1
    assert warnings[0].startswith(warning)
    parts = parts_of(clean)
    assert b"rIdX" not in parts["word/_rels/document.xml.rels"] + parts["word/document.xml"]
    assert "see" in texts(clean)


@pytest.mark.parametrize("target", ["https://example.com/a?b=1", "http://example.com", "mailto:a@example.com"])
def test_web_and_mail_links_stay(target):
    clean, warnings = sanitise(with_relationship(HONEST, "hyperlink", target, external=True))
    assert warnings == ()
    assert target.encode() in parts_of(clean)["word/_rels/document.xml.rels"]


def test_link_to_a_bookmark_is_repaired():
    """Word and LibreOffice open such files; python-docx takes the bookmark for the name of a part."""
    content = with_relationship(HONEST, "hyperlink", "#chapter")
    with pytest.raises(KeyError):
        Document(io.BytesIO(content))
    clean, warnings = sanitise(content)
    assert warnings == ()
    assert b'Target="#chapter" TargetMode="External"' in parts_of(clean)["word/_rels/document.xml.rels"]
    assert "Dear {{ name }}" in texts(clean)


def test_reference_to_a_missing_part_is_dropped():
    content = with_relationship(HONEST, "image", "../NULL")
    clean, warnings = sanitise(content)
    assert warnings == ("removed a reference to 'NULL', which the file does not hold",)
    assert "Dear {{ name }}" in texts(clean)


def test_workbook_behind_a_chart_is_kept():
    workbook = packed({"xl/workbook.xml": b"<workbook/>"})
    clean, warnings = sanitise(with_chart(workbook))
    assert warnings == ()
    assert parts_of(clean)["word/embeddings/book.xlsx"] == workbook


def test_word_template_becomes_a_document():
    content = replaced("[Content_Types].xml", MAIN, MAIN.replace(b"document.main", b"template.main"))
    clean, warnings = sanitise(content)
    assert warnings == ("turned the Word template (.dotx) into a document",)
    assert "Dear {{ name }}" in texts(clean)


INSTRUCTIONS = {
    "INCLUDETEXT": ' INCLUDETEXT "file:///etc/passwd" ',
    "INCLUDEPICTURE": ' includepicture "http://127.0.0.1/x.png" \\d ',
    "DDE": " DDE cmd x y ",
    "DDEAUTO": ' DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc" ',
    "LINK": " LINK Excel.Sheet.8 x.xls ",
    "DATABASE": ' DATABASE \\c "DSN=x" ',
    "RD": ' RD "x.docx" ',
    "MACROBUTTON": " MACROBUTTON x y ",
    "IMPORT": " IMPORT x ",
    "HYPERLINK": ' HYPERLINK \\o "http://tip" "file:///etc/passwd" ',
}


@pytest.mark.parametrize("keyword", INSTRUCTIONS)
def test_field_that_reads_is_turned_into_its_text(keyword):
    simple = '<w:p><w:fldSimple w:instr="%s"><w:r><w:t>simple</w:t></w:r></w:fldSimple></w:p>'
    body = complex_field(INSTRUCTIONS[keyword]) + simple % INSTRUCTIONS[keyword].replace('"', "&quot;")
    clean, warnings = sanitise(with_body(HONEST, body))
    assert warnings == (f"turned a {keyword} field into plain text: it could read files or addresses",)
    xml = parts_of(clean)["word/document.xml"]
    assert b"instr" not in xml
    assert b"fldChar" not in xml
    assert texts(clean)[:2] == ["shown before", "simple"]


def test_instruction_cut_into_pieces_is_read_as_one():
    body = complex_field("INCLUDE").replace(
        "INCLUDE</w:instrText>", 'INCL</w:instrText></w:r><w:r><w:instrText>UDETEXT "/x"</w:instrText>'
    )
    assert b"instr" not in parts_of(sanitise(with_body(HONEST, body))[0])["word/document.xml"]


def test_field_whose_keyword_another_field_gives_is_taken_apart():
    inner = complex_field('QUOTE "INCLUDETEXT"').removeprefix("<w:p>").removesuffix("</w:p>")
    body = complex_field("X").replace('<w:r><w:instrText xml:space="preserve">X</w:instrText></w:r>', inner)
    _, warnings = sanitise(with_body(HONEST, body))
    assert warnings == ("turned a computed field into plain text: it could read files or addresses",)


def test_field_that_never_ends_is_taken_apart():
    body = '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DDE x</w:instrText></w:r></w:p>'
    assert b"instrText" not in parts_of(sanitise(with_body(HONEST, body))[0])["word/document.xml"]


@pytest.mark.parametrize(
    "instruction",
    [" PAGE ", " NUMPAGES ", ' TOC \\o "1-3" \\h ', " MERGEFIELD name ", ' HYPERLINK "https://example.com" ',
     ' HYPERLINK \\l "_Toc1" ', ' DATE \\@ "d. M. yyyy" ', " REF _Ref1 \\h ", " = 1 + 2 ", ' IF a = b "c" "d" '],
)  # fmt: skip
def test_ordinary_field_stays(instruction):
    content = with_body(HONEST, complex_field(instruction))
    clean, warnings = sanitise(content)
    assert warnings == ()
    assert parts_of(clean)["word/document.xml"] == parts_of(content)["word/document.xml"]


def test_addresses_of_old_drawings_are_dropped():
    body = (
        '<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml" href="file:///x">'
        '<v:imagedata xmlns:o="urn:schemas-microsoft-com:office:office" src="http://127.0.0.1/x.png" o:href="file:///y"/>'
        "</v:shape></w:pict></w:r></w:p>"
    )
    xml = parts_of(sanitise(with_body(HONEST, body))[0])["word/document.xml"]
    assert b"127.0.0.1" not in xml
    assert b"file:" not in xml


def test_many_changes_are_told_in_short():
    content = HONEST
    for number in range(25):
        content = with_relationship(
            content, "image", f"http://127.0.0.1/{number}", external=True, name=f"rIdX{number}"
        )
    _, warnings = sanitise(content)
    assert len(warnings) == 21
    assert warnings[-1] == "and 5 more changes"


def test_clean_file_can_be_filled():
    clean, _ = sanitise(with_relationship(HONEST, "attachedTemplate", "file:///x", external=True))
    filled, _ = fill(clean, b'{"name": "Ada"}', lambda _: None)
    assert "Dear Ada" in texts(filled)
