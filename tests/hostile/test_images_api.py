"""Hostile images through the API: any file may be an asset; the render that shows it comes out right or says why."""

import io
import re
from collections.abc import Iterator

import pypdf
import pytest
from PIL import Image

from tests.docx.word_files import parts_of, word_file
from tests.hostile.application import CARD, Application, Caller, content_of, data_uri, running
from tests.hostile.images import CHARTS, DAMAGED, DISGUISES, TOO_LARGE, TURNS, chart, corners, encoded
from tests.hostile.listening import Listener, listening
from tests.hostile.office import IS_INSTALLED

OWN_REDIS_DATABASE = 9
LIMITS = {"TYPST_SECONDS": "5", "TYPST_MEMORY_MB": "512", "DOCX_SECONDS": "10", "DOCX_MEMORY_MB": "1024"}
LARGE = ("bomb of 64 megapixels", "says it is of 4 gigapixels", "one line of 2^31", "jpeg that says 65 500 x 65 500")
NO_IMAGE = (
    "empty", "SVG called PNG", "HTML called PNG", "PostScript called PNG", "EPS behind a preview", "PNG cut at 50 %",
    "chunk of 4 GB", "text bomb", "PNG without pixels",
)  # fmt: skip
FINE = (
    "CMYK, inverted as Adobe has it", "16 bits", "GIF of 300 frames", "JPEG of two pictures", "broken profile",
    "EXIF that points to itself", "polyglot",
)  # fmt: skip
MADE = {**TOO_LARGE, **DISGUISES, **DAMAGED, **CHARTS}
IMAGES = {name: MADE[name] for name in (*LARGE, *NO_IMAGE, *FINE)}
SAID = {
    ("canvas", LARGE): r"^layer 1 \(image\): src is an image\b.*25 megapixels are allowed",
    ("canvas", NO_IMAGE): r"^layer 1 \(image\): src is (not a PNG|a damaged image|an image without|empty)",
    ("docx", LARGE): r"the image .+ has more than 25 megapixels$",
    ("docx", NO_IMAGE): r"the image .+ is (not a PNG, JPEG, GIF, WebP or BMP|damaged)$|the data URI .+ is",
}
WORD = word_file("{{ picture|image(40) }}")
TYPST = "#set page(width: 60pt, height: 60pt, margin: 0pt)\n#image(data.picture, width: 60pt)"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def application(test_environment, tmp_path_factory) -> Iterator[Application]:
    with running(tmp_path_factory.mktemp("hostile-images"), OWN_REDIS_DATABASE, **LIMITS) as found:
        yield found


@pytest.fixture(scope="module")
def caller(application) -> Caller:
    return application.caller()


@pytest.fixture(scope="module")
def templates(caller) -> dict[str, str]:
    return {"canvas": caller.template(CARD), "docx": caller.word(WORD), "typst": caller.template(TYPST)}


@pytest.fixture(scope="module")
def contents(listener) -> dict[str, bytes]:
    """The images, each made once; addresses in them are the listener's."""
    return {name: make().replace(b"127.0.0.1:9/", b"127.0.0.1:%d/" % listener.port) for name, make in IMAGES.items()}


@pytest.fixture(scope="module")
def assets(caller, contents) -> dict[str, str]:
    """Every one of them is taken as an asset."""
    names = {name: f"images/{number}.png" for number, name in enumerate(contents)}
    for name, content in contents.items():
        answer = caller.upload("assets", content, "x.png", name=names[name])
        assert answer.status_code == 201, (name, answer.text)
    return names


@pytest.fixture
def unharmed(application, listener, caller):
    yield
    assert application.worker.poll() is None
    assert caller.paid_for_what_was_completed()
    assert listener.heard == []


def picture_of(engine: str, content: bytes) -> Image.Image:
    """What the document shows, as its reader decodes it."""
    if engine == "canvas":
        return Image.open(io.BytesIO(content))
    parts = parts_of(content)
    (name,) = {name for name in parts if name.startswith("word/media/")} - parts_of(WORD).keys()
    return Image.open(io.BytesIO(parts[name]))


def assert_chart(image: Image.Image) -> None:
    for found, wanted in zip(corners(image), TURNS[1], strict=True):
        assert max(abs(one - other) for one, other in zip(found, wanted, strict=True)) <= 14


@pytest.mark.parametrize("way", ["asset", "data URI"])
@pytest.mark.parametrize("engine", ["canvas", "docx"])
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.usefixtures("unharmed")
def test_image_comes_out_right_or_the_render_says_why(caller, templates, contents, assets, name, engine, way):
    source = assets[name] if way == "asset" else data_uri(contents[name])
    asked = {"data": {"picture": source}, "format": {"canvas": "png", "docx": "docx"}[engine]}
    if name in FINE:
        document = caller.completes(templates[engine], **asked)
        assert document is not None
        assert_chart(picture_of(engine, document))
    else:
        kind = LARGE if name in LARGE else NO_IMAGE
        said = caller.refused(templates[engine], **asked)
        assert re.search(SAID[engine, kind], said), said


@pytest.mark.parametrize("format_name", ["pdf", "png"])
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.usefixtures("unharmed")
def test_typst_decodes_it_or_the_render_says_why(caller, templates, assets, name, format_name):
    answer = caller.render(templates["typst"], data={"picture": assets[name]}, format=format_name)
    assert content_of(answer) or answer.status_code == 422


@pytest.mark.usefixtures("unharmed")
def test_libreoffice_shows_those_that_are_fine(caller, assets):
    template_id = caller.word(word_file(*(f"{{{{ p{number}|image(40) }}}}" for number in range(len(FINE)))))
    data = {f"p{number}": assets[name] for number, name in enumerate(FINE)}
    document = caller.completes(template_id, data=data)
    if document is None:
        assert not IS_INSTALLED
    else:
        images = [image.image for page in pypdf.PdfReader(io.BytesIO(document)).pages for image in page.images]
        assert images  # equal ones are kept once
        for image in images:
            assert_chart(image)


def test_plain_image_in_every_way(caller, templates):
    """The control: it is the image that is refused, and not the way that it came."""
    content = encoded(chart(), "PNG")
    assert caller.upload("assets", content, "fine.png", name="fine.png").status_code == 201
    for engine, format_name in (("canvas", "png"), ("docx", "docx")):
        for source in ("fine.png", data_uri(content)):
            document = caller.completes(templates[engine], format=format_name, data={"picture": source})
            assert_chart(picture_of(engine, document))


def test_afterwards_the_same_worker_renders(application, caller, listener):
    application.assert_unharmed()
    assert caller.paid_for_what_was_completed()
    assert listener.heard == []
    assert listener.hears()
