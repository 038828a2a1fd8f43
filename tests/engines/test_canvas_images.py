"""Images by strangers: odd ones come out right, hostile ones are refused with a sentence, and the child lives on."""

import contextlib
import io
import socket
import struct
import warnings

import pytest
from PIL import Image, ImageCms

from tests.hostile.images import (
    BLUE,
    CHARTS,
    DAMAGED,
    DISGUISES,
    GREEN,
    SIDE_TOO_LONG,
    TOO_LARGE,
    TURNS,
    YELLOW,
    chart,
    corners,
    encoded,
    profile_bomb,
    srgb,
    turned,
)
from workers.errors import LimitExceededError, RemoteFilesNeededError, TemplateError

REFUSED = {
    **DISGUISES,
    **DAMAGED,
    "BMP called PNG": lambda: encoded(chart(), "BMP"),
    "address": lambda: b"http://127.0.0.1:9/x.png",
}
LARGE = {**TOO_LARGE, **SIDE_TOO_LONG}
_MADE = {}


def made(corpus, name):
    """An image of the corpus, made once: some take a while."""
    if name not in _MADE:
        _MADE[name] = corpus[name]()
    return _MADE[name]


@pytest.fixture
def drawn(draw_layers):
    """Draw an image over the whole sheet; give the colours of its four corners."""

    def drawn(content):
        layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100, "src": "it", "fit": "stretch"}
        return corners(Image.open(io.BytesIO(draw_layers(layer, files={"it": content}).content)))

    return drawn


def assert_colors(found, wanted, tolerance=8):
    for one, other in zip(found, wanted, strict=True):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= tolerance, (found, wanted)


@pytest.mark.parametrize("name", CHARTS)
def test_image_comes_out_as_it_is(drawn, name):
    assert_colors(drawn(CHARTS[name]()), TURNS[1], tolerance=14)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turns_the_image(drawn, orientation, format_name):
    assert_colors(drawn(turned(orientation, format_name)), TURNS[1])


@pytest.mark.parametrize("orientation", [2, 6])
def test_without_turning_it_would_lie_on_its_side(orientation):
    """The control: the pixels in the file are others than those that are wanted."""
    with Image.open(io.BytesIO(turned(orientation, "WEBP"))) as image:
        assert corners(image)[0] != pytest.approx(TURNS[1][0], abs=20)


def test_sixteen_bits_are_scaled_and_not_cut(drawn):
    pixels = struct.pack("<2H", 0x4000, 0xC000)
    grey = Image.frombytes("I;16", (2, 2), pixels * 2).resize((64, 64), Image.Resampling.NEAREST)
    assert_colors(drawn(encoded(grey, "PNG")), [(64,) * 3, (191,) * 3] * 2, tolerance=2)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_mode_of_a_png_is_read(drawn, mode):
    found = drawn(encoded(chart().convert(mode), "PNG"))
    if mode in {"P", "RGBA"}:
        assert_colors(found, TURNS[1], tolerance=30)
    else:
        assert found[3][0] > found[0][0]


def test_transparent_palette_is_kept(drawn):
    image = chart().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    found = drawn(encoded(image, "PNG", transparency=image.getpixel((0, 0))))
    assert_colors(found, [(255, 255, 255), GREEN, BLUE, YELLOW])


def test_colour_profile_is_applied(drawn):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image = chart()
    plain = drawn(encoded(image, "PNG"))
    assert_colors(plain, drawn(encoded(image, "PNG", icc_profile=srgb())), tolerance=2)
    assert_colors(plain, drawn(encoded(image.convert("L").convert("RGB"), "PNG", icc_profile=profile)), tolerance=255)


def test_profile_that_unpacks_to_much_is_not_unpacked(canvas, drawn):
    """Pillow stops unpacking a profile at one megabyte and goes on without."""
    before = canvas.status()["counts"].get("deaths", 0)
    with contextlib.suppress(TemplateError):
        assert_colors(drawn(profile_bomb()), TURNS[1])
    assert canvas.status()["counts"].get("deaths", 0) == before


@pytest.mark.parametrize("name", LARGE)
def test_image_with_too_many_pixels_is_refused(canvas, drawn, name):
    before = canvas.status()["counts"].get("deaths", 0)
    with pytest.raises(LimitExceededError, match=r"layer 1 \(image\): src is an image") as refused:
        drawn(made(LARGE, name))
    assert "25 megapixels are allowed" in refused.value.message
    assert canvas.status()["counts"].get("deaths", 0) == before
    assert_colors(drawn(encoded(chart(), "PNG")), TURNS[1])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_refused(canvas, drawn, name):
    before = canvas.status()["counts"].get("deaths", 0)
    with pytest.raises(
        TemplateError, match=r"layer 1 \(image\): src is (not a PNG|a damaged image|an image without)"
    ):
        drawn(made(REFUSED, name))
    assert canvas.status()["counts"].get("deaths", 0) == before
    assert_colors(drawn(encoded(chart(), "PNG")), TURNS[1])


@pytest.mark.parametrize(
    "name",
    ["BMP called PNG", "TIFF called PNG", "ICO called PNG", "PPM called PNG", "EPS called PNG", "PCX called PNG"],
)
def test_without_the_list_of_formats_these_would_be_read(name):
    """A control: the corpus holds real images, and only the allow list keeps them out."""
    with Image.open(io.BytesIO(made(REFUSED, name))) as image:
        assert image.size == (64, 64)


@pytest.mark.parametrize("name", ["side above the limit", "webp above the limit", "jpeg above the limit"])
def test_without_the_limits_these_would_be_read(name):
    """A control: Pillow itself has nothing against these, or only warns."""
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(made(LARGE, name))) as image:
        image.load()
        assert image.width > 8000 or image.width * image.height > 25_000_000


def test_largest_image_allowed_is_read(drawn):
    """The control of the limits."""
    assert_colors(drawn(encoded(chart().resize((5000, 5000), Image.Resampling.NEAREST), "PNG")), TURNS[1])


def test_nothing_of_the_original_file_is_in_the_document(draw_layers):
    exif = Image.Exif()
    exif[315] = "SECRET ARTIST"
    layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100, "src": "it"}
    for content in (encoded(chart(), "JPEG", exif=exif, comment=b"SECRET NOTE"), encoded(chart(), "PNG", exif=exif)):
        for format_name in ("png", "jpg", "webp", "pdf", "svg"):
            assert b"SECRET" not in draw_layers(layer, files={"it": content}, format=format_name).content


@pytest.mark.timeout(300)
def test_flipped_bytes_never_crash_the_child(canvas, drawn):
    """A seeded walk over damaged files of every format; what can still be read is fine."""
    before = canvas.status()["counts"].get("deaths", 0)
    originals = [encoded(chart(), name) for name in ("PNG", "JPEG", "WEBP", "GIF")]
    for number in range(240):
        content = bytearray(originals[number % 4])
        for step in range(1 + number % 5):
            content[(number * 7919 + step * 104_729) % len(content)] ^= 1 << (number + step) % 8
        try:
            drawn(bytes(content))
        except (TemplateError, LimitExceededError):
            continue
    assert canvas.status()["counts"].get("deaths", 0) == before


HOSTILE_SVG = {
    "file": '<image href="file:///etc/passwd" width="9" height="9"/>',
    "web": '<image href="http://127.0.0.1:9/x.png" width="9" height="9"/>',
    "path": '<image href="../../../../etc/hostname" width="9" height="9"/>',
    "script": "<script>alert(1)</script>",
    "style": "<style>@import url(http://127.0.0.1:9/a.css);</style>",
    "foreign": '<foreignObject><iframe src="http://127.0.0.1:9/"/></foreignObject>',
    "use itself": '<g id="a"><use href="#a"/></g>',
}


@pytest.mark.parametrize("name", HOSTILE_SVG)
def test_hostile_svg_draws_nothing_more_than_its_shapes(draw_layers, name):
    markup = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#00f"/>{}</svg>'
    )
    layer = {"type": "svg", "x": 0, "y": 0, "width": 100, "height": 100, "svg": markup.format(HOSTILE_SVG[name])}
    drawn = Image.open(io.BytesIO(draw_layers(layer).content)).convert("RGB")
    assert drawn.getpixel((50, 50)) == (0, 0, 255)


def test_no_picture_reaches_the_network(draw_layers):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
        image = f'<image href="{address}" width="9" height="9"/>'
        markup = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{image}</svg>'
        box = {"x": 0, "y": 0, "width": 100, "height": 100}
        for format_name in ("png", "pdf", "svg"):
            draw_layers({"type": "svg", **box, "svg": markup}, format=format_name)
            with pytest.raises(RemoteFilesNeededError):
                draw_layers({"type": "image", **box, "src": address}, format=format_name)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(listener.getsockname()):  # the control: it would have been heard
            listener.accept()[0].close()


@pytest.mark.parametrize("source", ["//x/a.png", "file:///etc/hostname", "ftp://x/a"])
def test_other_addresses_than_those_of_the_web_are_refused(draw_layers, source):
    layer = {"type": "image", "x": 0, "y": 0, "width": 9, "height": 9, "src": "x", "field": "photo"}
    with pytest.raises(TemplateError, match="is an address of a kind that is not fetched"):
        draw_layers(layer, data={"photo": source})


@pytest.mark.parametrize("source", ["/etc/hostname", "../x", "a/../../x", "a\0b", "\ud800"])
def test_sources_stay_inside_the_templates_files(draw_layers, source):
    layer = {"type": "image", "x": 0, "y": 0, "width": 9, "height": 9, "src": "x", "field": "photo"}
    with pytest.raises(TemplateError, match=r"^layer 1 \(image\): src"):
        draw_layers(layer, data={"photo": source})


def test_data_uri_is_read_in_both_forms(draw_layers):
    layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100}
    gif = encoded(Image.new("P", (1, 1), 0), "GIF")
    percent = "data:image/gif," + "".join(f"%{byte:02x}" for byte in gif)
    drawn = draw_layers({**layer, "src": percent})
    assert Image.open(io.BytesIO(drawn.content)).convert("RGB").getpixel((50, 50)) == (0, 0, 0)
