"""What a PDF declares, read from PDFs of Typst and from PDFs that were tampered with."""

import contextlib
import re

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines.option_checks import PDF_STANDARDS
from workers.engines.pdf import UnreadablePdfError
from workers.engines.pdf_objects import parse_dictionary
from workers.engines.pdf_standards import confirm_standards, declared_standards
from workers.errors import EngineError, TemplateError

ATTACH = '#pdf.attach("{name}", bytes("1"), description: "d", mime-type: "text/plain", relationship: "data")'
ATTACHED = ATTACH.format(name="a.txt")


def compiled(*standards: str, body: str = "= Hi", title: str = "T") -> bytes:
    source = f'#set document(title: "{title}")\n{body}'.encode()
    return typst.compile(source, pdf_standards=list(standards), timestamp=0)


@pytest.mark.parametrize("standard", PDF_STANDARDS)
def test_every_standard_is_found_by_its_name(standard):
    pdf = compiled(standard, body=ATTACHED if standard == "a-4f" else "= Hi")
    version = pdf[5:8].decode()
    assert declared_standards(pdf) == ((version,) if standard == version else (version, standard))
    assert confirm_standards(pdf, [standard]) == declared_standards(pdf)


def test_several_standards_are_found():
    assert declared_standards(compiled("1.5", "a-2a", "ua-1")) == ("1.5", "a-2a", "ua-1")


def test_plain_pdf_declares_its_version_only():
    assert declared_standards(compiled()) == ("1.7",)
    assert confirm_standards(compiled(), []) == ("1.7",)


def test_version_of_the_catalogue_counts_when_it_is_later():
    pdf = compiled("1.5")
    settings_of_viewers = b"/ViewerPreferences<</Direction/L2R>>"
    assert declared_standards(pdf.replace(settings_of_viewers, b"/Version/1.6".ljust(36))) == ("1.6",)
    assert declared_standards(pdf.replace(settings_of_viewers, b"/Version/1.4".ljust(36))) == ("1.5",)


@pytest.mark.parametrize("asked", ["a-2u", "a-3b", "ua-1", "1.4", "a-1b"])
def test_another_standard_than_the_asked_one_is_refused(asked):
    with pytest.raises(EngineError) as refused:
        confirm_standards(compiled("a-2b"), [asked])
    told = f"the PDF was asked to be {asked}, but says of itself that it is 1.7 and a-2b"
    assert refused.value.message == f"{told}; it is not handed out as something else"


@pytest.mark.parametrize(
    "title",
    [
        "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>",
        "</rdf:li><pdfuaid:part>1</pdfuaid:part>",
        "]]> <!-- <pdfuaid:part>1</pdfuaid:part>",
        "endobj trailer startxref 0 %%EOF",
    ],
)
def test_title_is_never_taken_for_a_declaration(title):
    assert declared_standards(compiled(title=title)) == ("1.7",)
    assert declared_standards(compiled("a-2b", title=title)) == ("1.7", "a-2b")


@pytest.mark.parametrize("name", ["x /Metadata 1 0 R", "x) /Metadata 1 0 R (x", "x /Version/2.0 endobj >>", "((x"])
def test_file_name_in_the_catalogue_is_never_taken_for_an_entry(name):
    pdf = compiled("a-3b", body=ATTACH.format(name=name))
    assert declared_standards(pdf) == ("1.7", "a-3b")


def test_the_naive_search_is_fooled_by_an_attached_file():
    """The control of the tests above: the same file, read without following the catalogue."""
    fake = "<pdfaid:part>1</pdfaid:part>"
    pdf = compiled(body=ATTACH.format(name=fake))
    assert re.search(rb"<pdfaid:part>(\d)", pdf)
    assert declared_standards(pdf) == ("1.7",)


def test_attached_files_are_what_a_4f_is_for():
    with pytest.raises(TemplateError, match="a-4f is for documents with attached files, and this one has none"):
        confirm_standards(compiled("a-4f"), ["a-4f"])


@pytest.mark.parametrize(
    ("written", "instead", "error", "message"),
    [
        (b"/StructTreeRoot ", b"/StructTreeXoot ", EngineError, "has no tags"),
        (b"/MarkInfo<</Marked true", b"/MarkInfo<</Marked null", EngineError, "has no tags"),
        (b"/Lang(en)", b"/Lang()  ", TemplateError, "PDF/UA needs a language"),
        (b"/DisplayDocTitle true", b"/DisplayDocTitle null", EngineError, "does not show its title"),
        (b">T</rdf:li>", b"> </rdf:li>", TemplateError, "PDF/UA needs a title"),
        (b"<pdfuaid:part>1", b"<pdfuaid:part>7", EngineError, "says of itself that it is 1.7 and ua-7"),
        (b"<pdfuaid:part>1", b"<pdfuaid:part>x", EngineError, "says of itself that it is 1.7"),
    ],
)
def test_declaration_without_what_it_takes_is_refused(written, instead, error, message):
    pdf = compiled("ua-1")
    assert confirm_standards(pdf, ["ua-1"]) == ("1.7", "ua-1")
    assert pdf.count(written) == 1
    with pytest.raises(error, match=message):
        confirm_standards(pdf.replace(written, instead), ["ua-1"])


def test_picture_without_a_description_is_refused():
    square = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='5' height='5'/></svg>"
    pdf = compiled("ua-1", body=f'#image(bytes("{square}"), alt: "a square")')
    assert confirm_standards(pdf, ["ua-1"]) == ("1.7", "ua-1")
    assert pdf.count(b"/Alt(") == 1
    with pytest.raises(TemplateError, match="one picture has no alternative text"):
        confirm_standards(pdf.replace(b"/Alt(", b"/Xlt("), ["ua-1"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda pdf: pdf[:0],
        lambda pdf: pdf[:9] + b"%%EOF",
        lambda pdf: pdf[:-40],
        lambda pdf: pdf[8:],
        lambda pdf: b"\n" + pdf,
        lambda pdf: pdf.replace(b"startxref", b"startxreX"),
        lambda pdf: re.sub(rb"/Root \d+", b"/Root 999", pdf),
        lambda pdf: re.sub(rb"/Metadata (\d)(\d)", rb"/Metadata 01", pdf),
        lambda pdf: re.sub(rb"/Length \d+/Type/Metadata", b"/Length (x)/Type/Metadata", pdf),
        lambda pdf: pdf.replace(b"</pdfaid:part>", b"</pdfaid:part><pdfaid:part>9</pdfaid:part>"),
    ],
)
def test_damaged_pdf_is_unreadable_and_confirms_nothing(damage):
    pdf = damage(compiled("a-2b"))
    with pytest.raises(UnreadablePdfError):
        declared_standards(pdf)
    assert confirm_standards(pdf, []) == ()
    with pytest.raises(EngineError, match="does not say in a way that can be read"):
        confirm_standards(pdf, ["a-2b"])


WHOLE = compiled("a-2b", "ua-1")


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_no_damage_makes_it_crash(position, instead, cut):
    pdf = WHOLE[:position] + instead + WHOLE[position + cut :]
    with contextlib.suppress(UnreadablePdfError):
        declared_standards(pdf)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (b"<</A 1/B 2>>", {"A": b"1", "B": b"2"}),
        (b"<< /A 12 0 R\n/B/C /D [1 /E (])] >>", {"A": b"12 0 R", "B": b"/C", "D": b"[1 /E (])]"}),
        (b"<</A<</B 1>>/C(>>(/D 1)\\)/E 2)>>", {"A": b"<</B 1>>", "C": b"(>>(/D 1)\\)/E 2)"}),
        (b"<</A<FEFF 0041>/A 2/B true>>", {"A": b"<FEFF 0041>", "B": b"true"}),
        (b"<<>>", {}),
    ],
)
def test_dictionary_is_read_by_its_own_rules(text, entries):
    assert parse_dictionary(text + b"/Z 1>>", 0) == entries


@pytest.mark.parametrize("text", [b"", b"1", b"<<", b"<</A(>>", b"[/A 1]", b">>", b"<</A 1", b"<<" * 2_000_000])
def test_what_is_no_dictionary_is_unreadable(text):
    with pytest.raises(UnreadablePdfError):
        parse_dictionary(text, 0)
