"""Canvas pictures in every PDF standard, held against software that is not ours."""

import io

import pikepdf
import pytest
from pdf_checks import has_preflight, preflight_problems, problems

from templates_app.starters import load_starters
from workers.engines.option_checks import PDF_STANDARDS
from workers.errors import TemplateError

STARTERS = {starter.slug: starter for starter in load_starters(engines=["canvas"])}
STANDARDS = [name for name in PDF_STANDARDS if name.startswith(("a-", "ua-")) and name != "a-4f"]
FLAT = {"width": 200, "height": 100, "title": "A flat picture", "lang": "en", "layers": [
    {"type": "rect", "x": 10, "y": 10, "width": 60, "height": 60, "fill": "#ff0000"},
    {"type": "text", "x": 10, "y": 10, "width": 150, "text": "Ärger {{n}} & more"},
    {"type": "qr", "x": 120, "y": 10, "width": 60, "height": 60, "value": "1"},
]}  # fmt: skip


@pytest.mark.parametrize("standard", STANDARDS)
def test_picture_follows_the_standard(draw, standard):
    document = draw(FLAT, {"n": 1}, format="pdf", options={"pdf_standard": standard, "timestamp": 1_709_208_000})
    assert standard in document.standards
    assert problems(document.content, standard) == []
    if standard.startswith("a-1"):
        assert preflight_problems(document.content) == []


@pytest.mark.parametrize("slug", STARTERS)
def test_starter_is_archival_and_accessible(draw, slug):
    starter = STARTERS[slug]
    options = {"pdf_standard": "a-2a", "ua_compliant": True}
    document = draw(starter.source, starter.data, format="pdf", options=options)
    assert document.standards == ("1.7", "a-2a", "ua-1")
    assert problems(document.content, "a-2a") == problems(document.content, "ua-1") == []


def test_plain_pdf_is_not_archival(draw):
    """The control: the checks do not pass whatever they are given."""
    document = draw(FLAT, format="pdf")
    assert document.standards == ("1.7",)
    for standard in STANDARDS:
        assert problems(document.content, standard) != []
    assert has_preflight() == bool(preflight_problems(document.content))


def test_image_has_no_standards(draw):
    assert draw(FLAT, format="png").standards == ()


def test_picture_without_a_title_is_not_accessible(draw):
    with pytest.raises(TemplateError, match="PDF/UA-1 error: missing document title"):
        draw({**FLAT, "title": ""}, format="pdf", options={"ua_compliant": True})


# ---- What the checks themselves are worth ---------------------------------------------------------------


def spoilt(content: bytes, spoil) -> bytes:
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        spoil(pdf)
        pdf.save(target, static_id=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return target.getvalue()


def leave(pdf):
    """Only written anew by another program, so the rest is due to what was done to it."""


def drop_the_fonts(pdf):
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Dictionary) and thing.get("/Type") == "/FontDescriptor":
            for key in {"/FontFile", "/FontFile2", "/FontFile3"} & set(thing.keys()):
                del thing[key]


def drop_the_unicode(pdf):
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Dictionary) and "/ToUnicode" in thing:
            del thing["/ToUnicode"]


def retitle(pdf):
    pdf.docinfo["/Title"] = "Another one"


def redate(pdf):
    pdf.docinfo["/CreationDate"] = "D:20200101000000Z"


def launch(pdf):
    pdf.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.Launch, F="program.exe")


def run_a_script(pdf):
    pdf.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")


def attach(pdf):
    pdf.attachments["a.txt"] = b"1"


def fade(pdf):
    pdf.pages[0].Resources.ExtGState = pikepdf.Dictionary(G=pikepdf.Dictionary(Type=pikepdf.Name.ExtGState, ca=0.5))


def untag_the_content(pdf):
    page = pdf.pages[0]
    page.contents_add(b"0 0 10 10 re f", prepend=True)


def drop(*path):
    def spoil(pdf):
        holder = pdf.Root
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]

    return spoil


@pytest.mark.parametrize(
    ("standard", "spoil", "told"),
    [
        ("a-2a", drop("/OutputIntents"), "0 output intents"),
        ("a-2a", drop("/Metadata"), "no XMP metadata"),
        ("a-2a", drop("/MarkInfo", "/Marked"), "not marked as tagged"),
        ("a-2a", drop("/Lang"), "no language"),
        ("a-2a", drop("/StructTreeRoot"), "no structure tree"),
        ("a-2a", drop_the_fonts, "is not embedded"),
        ("a-2a", drop_the_unicode, "has no ToUnicode"),
        ("a-2a", retitle, "/Title differs"),
        ("a-2a", redate, "/CreationDate differs"),
        ("a-2a", launch, "action /Launch"),
        ("a-2a", run_a_script, "action /JavaScript"),
        ("a-2a", attach, "files are attached"),
        ("a-3a", attach, "an attached file has no media type"),
        ("a-1a", fade, "transparency: opacity"),
        ("ua-1", drop("/ViewerPreferences", "/DisplayDocTitle"), "title is not shown"),
        ("ua-1", drop("/StructTreeRoot"), "no structure tree"),
        ("ua-1", untag_the_content, "page 1 has content that is neither tagged nor an artifact"),
    ],
)
def test_spoilt_pdf_is_seen_through(draw, standard, spoil, told):
    content = draw(FLAT, format="pdf", options={"pdf_standard": standard}).content
    assert problems(spoilt(content, leave), standard) == []
    found = problems(spoilt(content, spoil), standard)
    assert any(told in problem for problem in found), found
