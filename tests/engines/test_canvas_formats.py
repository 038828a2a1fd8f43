"""Sizes, options and sameness of the five formats."""

import io
import json
import re

import pypdf
import pytest
from PIL import Image
from rasterising import difference, rasterise

from templates_app.starters import load_starters
from workers.errors import LimitExceededError, TemplateError
from workers.job import Limits

STARTERS = {starter.slug: starter for starter in load_starters(engines=["canvas"])}
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
}
PLAIN = {"width": 40, "height": 30, "background": None, "layers": [
    {"type": "rect", "x": 0, "y": 0, "width": 20, "height": 30, "fill": "#ff0000"}
]}  # fmt: skip


def opened(document):
    return Image.open(io.BytesIO(document.content))


@pytest.mark.parametrize("format_name", MEDIA_TYPES)
def test_document_says_what_it_is(draw, format_name):
    document = draw(PLAIN, format=format_name)
    assert (document.media_type, document.extension, document.pages) == (MEDIA_TYPES[format_name], format_name, 1)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("format_name", ["png", "jpg", "webp"])
def test_size_in_pixels_is_exact(draw, format_name, scale):
    document = {"width": 333, "height": 77, "layers": []}
    assert opened(draw(document, format=format_name, options={"scale": scale})).size == (333 * scale, 77 * scale)


@pytest.mark.parametrize("scale", [1, 3])
def test_svg_has_its_size_in_pixels(draw, scale):
    svg = draw(PLAIN, format="svg", options={"scale": scale}).content.decode()
    assert re.match(rf'<svg[^>]* viewBox="0 0 40 30" width="{40 * scale}" height="{30 * scale}"', svg)


@pytest.mark.parametrize("scale", [1, 3])
def test_pdf_page_is_a_point_for_a_pixel_at_every_scale(draw, scale):
    page = pypdf.PdfReader(io.BytesIO(draw(PLAIN, format="pdf", options={"scale": scale}).content)).pages[0]
    assert [float(side) for side in page.mediabox] == [0, 0, 40, 30]


@pytest.mark.parametrize("format_name", ["png", "webp"])
def test_transparent_background_stays_transparent(draw, format_name):
    image = opened(draw(PLAIN, format=format_name)).convert("RGBA")
    assert image.getpixel((30, 15))[3] == 0
    assert image.getpixel((10, 15))[3] == 255


def test_transparent_background_is_white_in_a_jpeg(draw):
    image = opened(draw(PLAIN, format="jpg"))
    assert min(image.getpixel((35, 15))) > 250
    assert image.getpixel((5, 15))[0] > 245


@pytest.mark.parametrize("format_name", MEDIA_TYPES)
def test_the_same_job_gives_the_same_bytes(draw, format_name):
    starter = STARTERS["social-card"]
    one, other = (draw(starter.source, starter.data, format=format_name).content for _ in range(2))
    assert one == other


@pytest.mark.parametrize("format_name", ["jpg", "webp", "pdf", "svg"])
@pytest.mark.parametrize("slug", STARTERS)
def test_starters_look_the_same_in_every_format(draw, slug, format_name):
    starter = STARTERS[slug]
    wanted = rasterise(draw(starter.source, starter.data).content, "png")
    found = rasterise(draw(starter.source, starter.data, format=format_name).content, format_name)
    apart = difference(found, wanted)
    assert apart.mean < 2.5
    assert apart.share < 0.002


@pytest.mark.parametrize("slug", STARTERS)
def test_starters_need_no_data_and_no_other_font(draw, slug):
    document = draw(STARTERS[slug].source)
    assert document.warnings == ()
    assert document.fonts_used == document.fonts_asked


@pytest.mark.parametrize("quality", [5, 95])
@pytest.mark.parametrize("format_name", ["jpg", "webp"])
def test_quality_changes_the_bytes(draw, format_name, quality):
    starter = STARTERS["social-card"]
    usual = draw(starter.source, format=format_name).content
    other = draw(starter.source, format=format_name, options={"quality": quality}).content
    assert (len(other) > len(usual)) == (quality == 95)


def test_pdf_standard_is_written_into_the_pdf(draw):
    starter = STARTERS["badge"]
    document = draw(starter.source, format="pdf", options={"pdf_standard": "a-2b"})
    metadata = pypdf.PdfReader(io.BytesIO(document.content)).xmp_metadata
    assert (metadata.pdfaid_part, metadata.pdfaid_conformance) == ("2", "B")


@pytest.mark.parametrize("standard", ["a-2b", "a-2a", "a-4", "ua-1", ["a-2a", "ua-1"]])
@pytest.mark.parametrize("slug", STARTERS)
def test_starters_follow_the_standards(draw, slug, standard):
    starter = STARTERS[slug]
    document = draw(starter.source, starter.data, format="pdf", options={"pdf_standard": standard})
    catalogue = pypdf.PdfReader(io.BytesIO(document.content)).root_object
    assert catalogue["/MarkInfo"]["/Marked"]


def test_standard_that_forbids_the_drawing_is_named(draw):
    with pytest.raises(TemplateError, match=r"^the PDF cannot follow the standard: PDF/A-1b error: .*transparency"):
        draw(STARTERS["badge"].source, format="pdf", options={"pdf_standard": "a-1b"})


def test_pdf_keeps_texts_as_text(draw):
    starter = STARTERS["badge"]
    page = pypdf.PdfReader(io.BytesIO(draw(starter.source, format="pdf").content)).pages[0]
    assert "Master of Relief" in page.extract_text()


@pytest.mark.parametrize(
    ("format_name", "options", "message"),
    [
        ("gif", {}, 'format "gif" is not one of png, jpg, webp, pdf, svg'),
        ("png", {"scale": 5}, 'option "scale" must be a whole number from 1 to 4'),
        ("png", {"scale": 1.5}, 'option "scale" must be'),
        ("png", {"scale": True}, 'option "scale" must be'),
        ("png", {"quality": 50}, 'option "quality" is not known for png'),
        ("jpg", {"quality": 0}, 'option "quality" must be a whole number from 1 to 100'),
        ("svg", {"ppi": 144}, 'option "ppi" is not known for svg'),
        ("pdf", {"pdf_standard": "a-9"}, 'option "pdf_standard" must be one of'),
    ],
)
def test_wrong_option_is_named(draw, format_name, options, message):
    with pytest.raises(TemplateError) as refused:
        draw(PLAIN, format=format_name, options=options)
    assert message in refused.value.message


def test_font_that_is_not_installed_is_reported(draw_layers):
    document = draw_layers(
        {"type": "text", "x": 0, "y": 0, "width": 99, "text": "a", "font_family": ["Nonesuch", "lato"]}
    )
    assert document.fonts_asked == ("Nonesuch", "lato")
    assert document.fonts_used == ("Lato",)
    assert document.warnings == ('font family "Nonesuch" is not installed; another one was used',)


@pytest.mark.parametrize(
    ("width", "height", "scale", "message"),
    [
        (8000, 5001, 1, "image has more than 40 megapixels"),
        (4000, 10, 3, "image would be 12000 x 30 pixels; a side may have at most 8,000"),
    ],
)
@pytest.mark.parametrize("format_name", ["png", "svg"])
def test_too_many_pixels_are_refused(draw, format_name, width, height, scale, message):
    with pytest.raises(LimitExceededError) as refused:
        draw({"width": width, "height": height, "layers": []}, format=format_name, options={"scale": scale})
    assert refused.value.message == message


@pytest.mark.timeout(300)
def test_the_largest_picture_is_drawn(draw):
    """The control of the test above: memory and time are enough for what the limits allow."""
    layer = {"type": "rect", "x": 100, "y": 100, "width": 3000, "height": 3000, "fill": "#0000ff"}
    document = {"width": 8000, "height": 5000, "layers": [layer]}
    assert opened(draw(document, format="webp", limits=Limits(wall_seconds=200))).size == (8000, 5000)


def test_shadows_count_as_pixels(draw):
    layers = [
        {"type": "ellipse", "x": 10, "y": 10, "width": 3900, "height": 1900, "shadow": {"blur": 2, "x": number}}
        for number in range(8)
    ]
    with pytest.raises(LimitExceededError, match="the shadows together have more than 40 megapixels"):
        draw({"width": 4000, "height": 2000, "layers": layers})


def test_document_larger_than_allowed_is_refused(draw):
    starter = STARTERS["badge"]
    with pytest.raises(LimitExceededError, match="document is larger than"):
        draw(json.loads(starter.source), format="svg", limits=Limits(max_output_bytes=10_000))
