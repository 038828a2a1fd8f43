"""Typst documents in every PDF standard, held against software that is not ours."""

import pytest

from tests.engines.pdf_checks import has_preflight, preflight_problems, problems
from workers.engines.option_checks import PDF_STANDARDS
from workers.errors import TemplateError

TEXT = """
#set document(title: "Report", author: "Ada Lovelace", keywords: ("a", "b"))
#set text(lang: "en", font: "Lato")
#set page(footer: [Page])
"""
RICH = (
    TEXT
    + """
= Head
Text, _italic_ and *bold*, a #link("https://a.example")[link], a note#footnote[here], ﬁ and ß.
- one
- two
#table(columns: 2, table.header([A], [B]), [1], [2])
#math.equation(alt: "x squared", block: true, $x^2$)
#image(bytes("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='5' height='5'/></svg>"),
  alt: "a square")
#pagebreak()
== More
#lorem(50)
"""
)
# Preflight 2.0 takes no outline with indirect destinations, which the specification allows
PLAIN = TEXT + "#set heading(bookmarked: false)\n= Head\nText, _italic_ and *bold*.\n- one\n- two"
ATTACHED = '#pdf.attach("a.txt", bytes("1"), description: "d", mime-type: "text/plain", relationship: "data")\n'
STANDARDS = [name for name in PDF_STANDARDS if name.startswith(("a-", "ua-"))]


@pytest.mark.parametrize("standard", STANDARDS)
def test_document_follows_the_standard(render, standard):
    source = RICH + ATTACHED if standard == "a-4f" else RICH
    document = render(source, options={"pdf_standard": standard, "timestamp": 1_709_208_000})
    assert standard in document.standards
    assert problems(document.content, standard) == []


@pytest.mark.parametrize("standard", ["a-1a", "a-1b"])
def test_preflight_finds_nothing(render, standard):
    document = render(PLAIN, options={"pdf_standard": standard})
    assert preflight_problems(document.content) == []


@pytest.mark.parametrize("part", ["a-1a", "a-2a", "a-3a", "a-2b", "a-3u"])
def test_document_is_archival_and_accessible(render, part):
    # PDF 1.4 can tell neither a footer apart nor say where a link stands: Typst refuses both
    source = PLAIN.replace("footer: [Page]", "") if part == "a-1a" else RICH
    document = render(source, options={"pdf_standard": part, "ua_compliant": True})
    assert document.standards[1:] == (part, "ua-1")
    assert problems(document.content, part) == problems(document.content, "ua-1") == []


@pytest.mark.parametrize("standard", ["a-3a", "a-3b", "a-3u", "a-4f"])
def test_attached_files_are_associated(render, standard):
    document = render(RICH + ATTACHED, options={"pdf_standard": standard})
    assert problems(document.content, standard) == []


@pytest.mark.parametrize("standard", ["1.4", "1.5", "1.6", "1.7", "2.0"])
def test_version_is_the_asked_one(render, standard):
    assert render("Hi", options={"pdf_standard": standard}).standards == (standard,)


def test_plain_pdf_is_not_archival(render):
    """The control: the checks do not pass whatever they are given."""
    document = render(RICH)
    assert document.standards == ("1.7",)
    for standard in STANDARDS:
        assert problems(document.content, standard) != []
    assert has_preflight() == bool(preflight_problems(document.content))


def test_image_has_no_standards(render):
    assert render("Hi", format="svg").standards == ()


@pytest.mark.parametrize(
    ("source", "standard", "message"),
    [
        (RICH, "a-4f", "a-4f is for documents with attached files, and this one has none"),
        ("Hi", "ua-1", "missing document title"),
        ('#set document(title: "T")\n$x$', "ua-1", "missing alt text"),
        ("#rect(fill: red.transparentize(50%))", "a-1b", "transparency"),
        (RICH, ["a-1a", "ua-1"], "headers and footers cannot be made accessible in PDF 1.4 files"),
        (ATTACHED, "a-1b", "PDF/A-1b error"),
        (ATTACHED, "a-2b", "PDF/A-2b error"),
    ],
)
def test_template_that_cannot_follow_is_refused(render, source, standard, message):
    with pytest.raises(TemplateError) as refused:
        render(source, options={"pdf_standard": standard})
    assert message in refused.value.message
