"""Word documents in every PDF standard, held against software that is not ours. LibreOffice writes the PDFs."""

import datetime as dt
import io
import re

import pikepdf
import pytest
from docx import Document
from test_convert import content_of, is_answered_without_office, run
from word_files import PNG, RELATIONSHIPS, saved, with_body, with_relationship, word_file

from tests.engines.pdf_checks import has_preflight, pdf_date, preflight_problems, problems
from workers.docx.options import PDF_STANDARDS, check_options
from workers.docx.pdf_metadata import correct_metadata
from workers.engines.pdf_standards import declared_standards

LINK = f'<w:p><w:hyperlink xmlns:r="{RELATIONSHIPS}" r:id="rIdX"><w:r><w:t>a link</w:t></w:r></w:hyperlink></w:p>'
TIMESTAMP = 1_709_208_000
BOTH = [["a-2b", "ua-1"], ["a-3b", "ua-1"], ["1.5", "ua-1"]]

pytestmark = pytest.mark.timeout(400)


def letter(*, title: str = "Letter to {{ name }}", alt: str = "A dot") -> bytes:
    document = Document()
    document.core_properties.title = title
    document.add_heading("Offer", 1)
    document.add_paragraph("Dear {{ name }}, ﬁne and ß")
    document.add_paragraph("one", style="List Bullet")
    document.add_picture(io.BytesIO(PNG))
    if alt:
        document.inline_shapes[0]._inline.docPr.set("descr", alt)
    document.add_table(2, 2).cell(0, 0).text = "{{ total }}"
    document.sections[0].footer.paragraphs[0].text = "the foot"
    return with_relationship(with_body(saved(document), LINK), "hyperlink", "https://a.example/", external=True)


def pdfs(*requests: tuple[bytes, dict]) -> list[dict]:
    return run(*[("pdf", source, check_options("pdf", options)) for source, options in requests])["results"]


def test_document_follows_every_standard():
    asked = [[name] for name in PDF_STANDARDS] + BOTH
    results = pdfs(*[(letter(), {"pdf_standard": names}) for names in asked])
    if is_answered_without_office(results):
        return
    for names, result in zip(asked, results, strict=True):
        content = content_of(result)
        assert set(names) <= set(result["standards"]) == set(declared_standards(content))
        for name in names:
            if not name.startswith("1."):
                assert (names, problems(content, name)) == (names, [])


def test_preflight_finds_nothing():
    sources = [letter(), letter(alt=""), word_file("Hi"), word_file("Hi", header="h", footer="f", title="T")]
    results = pdfs(*[(source, {"pdf_standard": "a-1b"}) for source in sources])
    if is_answered_without_office(results):
        return
    for result in results:
        assert result["standards"] == ["1.4", "a-1b"]
        assert preflight_problems(content_of(result)) == []


def test_plain_pdf_is_not_archival():
    """The control: the checks do not pass whatever they are given."""
    (result,) = pdfs((letter(), {}))
    if is_answered_without_office([result]):
        return
    content = content_of(result)
    assert result["standards"] == ["1.6"]
    assert all(problems(content, name) for name in PDF_STANDARDS if not name.startswith("1."))
    assert has_preflight() == bool(preflight_problems(content))


def test_template_that_cannot_be_accessible_is_refused():
    sources = [letter(title=""), letter(alt=""), letter()]
    results = pdfs(*[(source, {"ua_compliant": True}) for source in sources])
    if is_answered_without_office(results):
        return
    assert [result.get("message") for result in results] == [
        "PDF/UA needs a title: give the document one, in Word under File, Info, Properties",
        "PDF/UA needs a description of every picture: one picture has no alternative text",
        None,
    ]
    assert results[2]["standards"] == ["1.6", "ua-1"]


def test_title_and_dates_are_those_of_the_job():
    results = pdfs(*[(letter(), {"timestamp": TIMESTAMP, **more}) for more in ({}, {"pdf_standard": "a-2b"})])
    if is_answered_without_office(results):
        return
    for result in results:
        with pikepdf.open(io.BytesIO(content_of(result))) as pdf:
            assert pdf_date(str(pdf.docinfo["/CreationDate"])) == dt.datetime.fromtimestamp(TIMESTAMP, dt.UTC)
            assert str(pdf.docinfo["/Title"]) == "Letter to Ada"
            if "/Metadata" in pdf.Root:
                assert b"<xmp:CreateDate>2024-02-29T12:00:00Z<" in pdf.Root.Metadata.read_bytes()


# ---- The metadata by themselves -------------------------------------------------------------------------

XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><pdfaid:part>1</pdfaid:part>\n'
    b" <pdfaid:conformance>A</pdfaid:conformance><pdfuaid:part>1</pdfuaid:part>"
    b"<xmp:CreateDate>%s</xmp:CreateDate></rdf:RDF></x:xmpmeta>"
)


def small_pdf(zone: bytes = b"Z", room: int = 2000) -> bytes:
    """A PDF laid out as LibreOffice lays it out, with nothing in it."""
    metadata = XMP % (b"2026-11-21T10:56:40" + zone) + b" " * room + b'\n<?xpacket end="w"?>'
    in_dictionary = b"Z'" if zone == b"Z" else zone.replace(b":", b"'") + b"'"
    objects = [
        b"<</Type/Catalog/Metadata 2 0 R>>",
        b"<</Type/Metadata/Subtype/XML/Length %d>>\nstream\n%s\nendstream" % (len(metadata), metadata),
        b"<</Title<FEFF>/CreationDate(D:20261121105640%s)>>" % in_dictionary,
    ]
    pdf, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(pdf)
        pdf += b"%d 0 obj\n%s\nendobj\n\n" % (number, content)
    end = b"xref\n0 4\n%strailer\n<</Size 4/Root 1 0 R\n/Info 3 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return pdf + end % (table, len(pdf))


@pytest.mark.parametrize(
    ("zone", "timestamp", "written"),
    [
        (b"Z", 0, "1970-01-01T00:00:00Z"),
        (b"Z", 253_402_300_799, "9999-12-31T23:59:59Z"),
        (b"+05:30", TIMESTAMP, "2024-02-29T17:30:00+05:30"),
        (b"-03:00", TIMESTAMP, "2024-02-29T09:00:00-03:00"),
        (b"-03:00", 0, "1970-01-01T21:00:00-03:00"),
        (b"+05:30", 253_402_300_799, "9999-12-31T05:29:59+05:30"),
    ],
)
def test_date_is_written_in_the_zone_that_stands_there(zone, timestamp, written):
    before = small_pdf(zone)
    pdf = correct_metadata(before, [], timestamp)
    assert len(pdf) == len(before)
    (dated,) = re.findall(rb"<xmp:CreateDate>([^<]*)<", pdf)
    (created,) = re.findall(rb"/CreationDate\((D:[^)]*)\)", pdf)
    assert dated.decode() == written
    assert pdf_date(created.decode()) == dt.datetime.fromisoformat(written)


def test_level_is_corrected_only_when_b_was_asked_for():
    assert declared_standards(correct_metadata(small_pdf(), ["a-1b"], 0)) == ("1.4", "a-1b", "ua-1")
    assert declared_standards(correct_metadata(small_pdf(), [], 0)) == ("1.4", "a-1a", "ua-1")


def test_description_needs_room():
    asked = ["a-2b", "ua-1"]
    assert b"pdfaSchema:namespaceURI" in correct_metadata(small_pdf(), asked, 0)
    assert b"pdfaSchema:namespaceURI" not in correct_metadata(small_pdf(room=100), asked, 0)
    for room in (100, 2000):
        assert len(correct_metadata(small_pdf(room=room), asked, 0)) == len(small_pdf(room=room))
    once = correct_metadata(small_pdf(room=4000), asked, 0)
    assert correct_metadata(once, asked, 0) == once


@pytest.mark.parametrize("pdf", [b"", b"%PDF-1.4", small_pdf()[:-60], small_pdf().replace(b"/Info 3", b"/Info 9")])
def test_unreadable_pdf_is_left_alone(pdf):
    assert correct_metadata(pdf, ["a-1b"], 0) == pdf
