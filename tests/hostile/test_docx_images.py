"""Images by strangers that data puts into a Word document: drawn upright and whole, or refused with a sentence."""

import io
import json

import pypdf
import pytest
from PIL import Image

from tests.docx.word_files import fill, parts_of, word_file
from tests.hostile.images import CHARTS, DAMAGED, DISGUISES, TOO_LARGE, TURNS, chart, corners, encoded, turned
from tests.hostile.office import IS_INSTALLED
from workers.docx.office import INSTALL_HINT
from workers.errors import EngineError, TemplateError
from workers.job import RenderJob
from workers.pool import EnginePool

TEMPLATE = word_file("{{ picture|image(40) }}")
DATA = json.dumps({"picture": "it"}).encode()
BEFORE = set(parts_of(TEMPLATE))


def placed(content: bytes) -> Image.Image:
    """The picture in the filled document, as whoever opens that decodes it: without regard to EXIF."""
    filled, _ = fill(TEMPLATE, DATA, {"it": content}.get)
    parts = parts_of(filled)
    (name,) = {name for name in parts if name.startswith("word/media/")} - BEFORE
    return Image.open(io.BytesIO(parts[name]))


def assert_chart(image: Image.Image) -> None:
    for found, wanted in zip(corners(image), TURNS[1], strict=True):
        assert max(abs(one - other) for one, other in zip(found, wanted, strict=True)) <= 14


@pytest.mark.parametrize("name", CHARTS)
def test_image_comes_out_as_it_is(name):
    image = placed(CHARTS[name]())
    assert image.format in {"PNG", "JPEG"}
    assert_chart(image)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turns_the_image(orientation, format_name):
    assert_chart(placed(turned(orientation, format_name)))


@pytest.mark.parametrize("name", TOO_LARGE)
def test_image_with_too_many_pixels_is_refused(name):
    with pytest.raises(TemplateError, match="the image 'it' has more than 25 megapixels"):
        placed(TOO_LARGE[name]())


@pytest.mark.parametrize("name", [*DISGUISES, *DAMAGED])
def test_what_is_no_image_is_refused(name):
    with pytest.raises(TemplateError, match=r"the image 'it' is (not a PNG|damaged)"):
        placed({**DISGUISES, **DAMAGED}[name]())


def test_image_larger_than_a_file_may_be_is_refused():
    """A PNG with a tail is a good PNG; the size of the file is a limit of its own."""
    with pytest.raises(TemplateError, match="the image 'it' is larger than 10 MB"):
        placed(encoded(chart(), "PNG") + bytes(10 << 20))
    assert_chart(placed(encoded(chart(), "PNG") + bytes(5 << 20)))


def test_pdf_shows_the_image_upright():
    """LibreOffice has the last word: every orientation in one document."""
    names = [f"p{orientation}" for orientation in TURNS]
    pool = EnginePool(engine="docx", children=1, spares=0)
    pool.start()
    job = RenderJob(
        source=word_file(*(f"{{{{ {name}|image(40) }}}}" for name in names)),
        data=json.dumps({name: f"{name}.jpg" for name in names}).encode(),
        files={f"p{orientation}.jpg": turned(orientation, "JPEG") for orientation in TURNS},
    )
    try:
        made = pool.render("a team", job).content
    except EngineError as error:
        assert (error.message, IS_INSTALLED) == (INSTALL_HINT, False)  # noqa: PT017 - either way is fine
        return
    finally:
        pool.close()
    images = [image.image for page in pypdf.PdfReader(io.BytesIO(made)).pages for image in page.images]
    assert len(images) >= 1  # equal ones are kept once
    for image in images:
        assert_chart(image)
