"""Images by strangers: odd ones come out right, hostile ones are refused with a sentence, and the child lives on."""

import io
import socket
import struct
import warnings
import zlib

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from workers.errors import LimitExceededError, RemoteFilesNeededError, TemplateError

RED, GREEN, BLUE, YELLOW = (220, 38, 38), (22, 163, 74), (37, 99, 235), (250, 204, 21)
TURNS = {
    1: (RED, GREEN, BLUE, YELLOW), 2: (GREEN, RED, YELLOW, BLUE), 3: (YELLOW, BLUE, GREEN, RED),
    4: (BLUE, YELLOW, RED, GREEN), 5: (RED, BLUE, GREEN, YELLOW), 6: (BLUE, RED, YELLOW, GREEN),
    7: (YELLOW, GREEN, BLUE, RED), 8: (GREEN, YELLOW, RED, BLUE),
}  # fmt: skip
"""Top left, top right, bottom left and bottom right of the chart, by EXIF orientation (TIFF 6.0, tag 274)."""
ORIENTATION = 274


def chart(size=64):
    image = Image.new("RGB", (size, size), RED)
    half = size // 2
    image.paste(GREEN, (half, 0, size, half))
    image.paste(BLUE, (0, half, half, size))
    image.paste(YELLOW, (half, half, size, size))
    return image


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def corners(draw_layers):
    """Draw an image over the whole sheet; give the colours of its four corners."""

    def corners(content):
        layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100, "src": "it", "fit": "stretch"}
        drawn = Image.open(io.BytesIO(draw_layers(layer, files={"it": content}).content)).convert("RGB")
        return [drawn.getpixel(place) for place in ((20, 20), (80, 20), (20, 80), (80, 80))]

    return corners


def assert_colors(found, wanted, tolerance=8):
    for one, other in zip(found, wanted, strict=True):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= tolerance, (found, wanted)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "GIF"])
def test_formats_are_read(corners, format_name):
    options = {"quality": 95} if format_name in {"JPEG", "WEBP"} else {}
    assert_colors(corners(encoded(chart(), format_name, **options)), TURNS[1])


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_turns_the_image(corners, orientation, format_name):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert_colors(corners(encoded(chart(), format_name, exif=exif, quality=95)), TURNS[orientation])


def test_cmyk_is_converted(corners):
    assert_colors(corners(encoded(chart().convert("CMYK"), "JPEG", quality=98)), TURNS[1])


def test_sixteen_bits_are_scaled_and_not_cut(corners):
    pixels = struct.pack("<2H", 0x4000, 0xC000)
    grey = Image.frombytes("I;16", (2, 2), pixels * 2).resize((64, 64), Image.Resampling.NEAREST)
    assert_colors(corners(encoded(grey, "PNG")), [(64,) * 3, (191,) * 3] * 2, tolerance=2)


def test_sixteen_bit_colours_are_read(corners):
    row = b"\0" + struct.pack(">3H", 0xDC00, 0x2600, 0x2600) * 8
    assert_colors(corners(png(8, 8, row * 8, depth=16)), [RED] * 4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_mode_of_a_png_is_read(corners, mode):
    found = corners(encoded(chart().convert(mode), "PNG"))
    if mode in {"P", "RGBA"}:
        assert_colors(found, TURNS[1], tolerance=30)
    else:
        assert found[3][0] > found[0][0]


def test_transparent_palette_is_kept(corners):
    image = chart().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    found = corners(encoded(image, "PNG", transparency=image.getpixel((0, 0))))
    assert_colors(found, [(255, 255, 255), GREEN, BLUE, YELLOW])


def test_colour_profile_is_applied(corners):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image = chart()
    plain = corners(encoded(image, "PNG"))
    assert_colors(plain, corners(encoded(image, "PNG", icc_profile=b"not a profile")), tolerance=0)
    assert_colors(plain, corners(encoded(image, "PNG", icc_profile=srgb())), tolerance=2)
    assert_colors(
        plain, corners(encoded(image.convert("L").convert("RGB"), "PNG", icc_profile=profile)), tolerance=255
    )


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_only_the_first_frame_is_used(corners):
    frames = [chart(), Image.new("RGB", (64, 64), "black")]
    assert_colors(corners(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])), TURNS[1], 12)


def png(width, height, raw, *, depth=8, color_type=2):
    """A PNG by hand, as no library would write it."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def text_bomb():
    info = PngImagePlugin.PngInfo()
    for number in range(70):
        info.add_text(f"k{number}", "x" * 1_000_000, zip=True)
    return encoded(chart(), "PNG", pnginfo=info)


PHOTO = encoded(chart(256), "JPEG", quality=90)
TOO_LARGE = {
    "bomb of 64 megapixels": lambda: png(8000, 8000, b"\0" * (8000 * 8001), color_type=0),
    "side above the limit": lambda: encoded(Image.new("1", (8001, 2)), "PNG"),
    "says it is of 4 gigapixels": lambda: png(65_000, 65_000, b"\0" * 100),
    "webp above the limit": lambda: encoded(Image.new("L", (6000, 5000)), "WEBP"),
    "jpeg above the limit": lambda: encoded(Image.new("L", (8000, 4000)), "JPEG"),
    "gif above the limit": lambda: encoded(Image.new("P", (8000, 4000)), "GIF"),
}
REFUSED = {
    "empty": b"",
    "text": b"hello" * 100,
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "HTML": b"<!doctype html><img src=x>",
    "BMP called PNG": encoded(chart(), "BMP"),
    "TIFF": encoded(chart(), "TIFF"),
    "ICO": encoded(chart(), "ICO"),
    "PPM": encoded(chart(), "PPM"),
    "EPS": encoded(chart(), "EPS"),
    "PDF": encoded(chart(), "PDF"),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40,
    "PSD": b"8BPS\0\1" + b"\0" * 40,
    "FITS": b"SIMPLE  =                    T" + b" " * 50,
    "truncated PNG": encoded(chart(), "PNG")[:120],
    "truncated JPEG": PHOTO[: len(PHOTO) // 2],
    "truncated WebP": encoded(chart(), "WEBP")[:60],
    "truncated GIF": encoded(chart(), "GIF")[:40],
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "PNG without pixels": png(0, 0, b""),
    "wrong checksum": encoded(chart(), "PNG").replace(b"IDAT", b"IDAU", 1),
    "too little data": png(100, 100, b"\0" * 10),
    "text bomb": text_bomb(),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_image_with_too_many_pixels_is_refused(canvas, corners, name):
    before = canvas.status()["counts"].get("deaths", 0)
    with pytest.raises(LimitExceededError, match=r"layer 1 \(image\): src is an image") as refused:
        corners(TOO_LARGE[name]())
    assert "25 megapixels are allowed" in refused.value.message
    assert canvas.status()["counts"].get("deaths", 0) == before
    assert_colors(corners(encoded(chart(), "PNG")), TURNS[1])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_refused(canvas, corners, name):
    with pytest.raises(
        TemplateError, match=r"layer 1 \(image\): src is (not a PNG|a damaged image|an image without)"
    ):
        corners(REFUSED[name])
    assert canvas.status()["counts"].get("deaths", 0) == 0
    assert_colors(corners(encoded(chart(), "PNG")), TURNS[1])


@pytest.mark.parametrize("name", ["BMP called PNG", "TIFF", "ICO", "PPM"])
def test_without_the_list_of_formats_these_would_be_read(name):
    """A control: the corpus holds real images, and only the allow list keeps them out."""
    with Image.open(io.BytesIO(REFUSED[name])) as image:
        assert image.size == (64, 64)


@pytest.mark.parametrize("name", ["side above the limit", "webp above the limit", "jpeg above the limit"])
def test_without_the_limits_these_would_be_read(name):
    """A control: Pillow itself has nothing against these, or only warns."""
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(TOO_LARGE[name]())) as image:
        image.load()
        assert image.width > 8000 or image.width * image.height > 25_000_000


def test_largest_image_allowed_is_read(corners):
    """The control of the limits."""
    assert_colors(corners(encoded(chart().resize((5000, 5000), Image.Resampling.NEAREST), "PNG")), TURNS[1])


def test_a_polyglot_is_only_its_image(corners):
    assert_colors(corners(encoded(chart(), "PNG") + b"<script>alert(1)</script>PK\3\4"), TURNS[1])


def test_nothing_of_the_original_file_is_in_the_document(draw_layers):
    exif = Image.Exif()
    exif[315] = "SECRET ARTIST"
    layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100, "src": "it"}
    for content in (encoded(chart(), "JPEG", exif=exif, comment=b"SECRET NOTE"), encoded(chart(), "PNG", exif=exif)):
        for format_name in ("png", "jpg", "webp", "pdf", "svg"):
            assert b"SECRET" not in draw_layers(layer, files={"it": content}, format=format_name).content


@pytest.mark.timeout(60)
def test_flipped_bytes_never_crash_the_child(canvas, corners):
    """A seeded walk over damaged files of every format; what can still be read is fine."""
    originals = [encoded(chart(), name) for name in ("PNG", "JPEG", "WEBP", "GIF")]
    for number in range(240):
        content = bytearray(originals[number % 4])
        for step in range(1 + number % 5):
            content[(number * 7919 + step * 104_729) % len(content)] ^= 1 << (number + step) % 8
        try:
            corners(bytes(content))
        except (TemplateError, LimitExceededError):
            continue
    assert canvas.status()["counts"].get("deaths", 0) == 0


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
