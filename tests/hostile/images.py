"""Images by strangers, made in code: bombs, halves, disguises, and odd ones that are fine. For every engine.

`TOO_LARGE` and `REFUSED` must not be drawn, `CHARTS` must come out as the same four coloured squares.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image, ImageCms, PngImagePlugin

from tests.hostile.typst_files import zeros

RED, GREEN, BLUE, YELLOW = (220, 38, 38), (22, 163, 74), (37, 99, 235), (250, 204, 21)
TURNS: Final = {
    1: (RED, GREEN, BLUE, YELLOW), 2: (GREEN, RED, YELLOW, BLUE), 3: (YELLOW, BLUE, GREEN, RED),
    4: (BLUE, YELLOW, RED, GREEN), 5: (RED, BLUE, GREEN, YELLOW), 6: (BLUE, RED, YELLOW, GREEN),
    7: (YELLOW, GREEN, BLUE, RED), 8: (GREEN, YELLOW, RED, BLUE),
}  # fmt: skip
"""Top left, top right, bottom left and bottom right of the chart, by EXIF orientation (tag 274)."""
ORIENTATION: Final = 274
UPRIGHT: Final = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""What turns an upright picture into one that has to be turned as the key says: Pillow's transposes."""

Make = Callable[[], bytes]


def chart(size: int = 64) -> Image.Image:
    image = Image.new("RGB", (size, size), RED)
    half = size // 2
    image.paste(GREEN, (half, 0, size, half))
    image.paste(BLUE, (0, half, half, size))
    image.paste(YELLOW, (half, half, size, size))
    return image


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format_name, **options)
    return target.getvalue()


def corners(image: Image.Image) -> list[tuple[int, int, int]]:
    """The colours at the middle of each quarter."""
    image = image.convert("RGB")
    near, far = image.width // 5, image.width * 4 // 5
    return [image.getpixel(place) for place in ((near, near), (far, near), (near, far), (far, far))]


def turned(orientation: int, format_name: str) -> bytes:
    """A chart whose EXIF asks to be turned, and which is the plain chart when it has been."""
    image, way = chart(), UPRIGHT[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image if way is None else image.transpose(way), format_name, exif=exif, quality=95)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, packed: bytes, *, depth: int = 8, color_type: int = 2, interlace: int = 0) -> bytes:
    """A PNG by hand; `packed` are its deflated rows."""
    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlace)
    chunks = (png_chunk(b"IHDR", head), png_chunk(b"IDAT", packed), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def with_chunks(content: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks behind its head."""
    return content[:33] + b"".join(chunks) + content[33:]


def rows(image: Image.Image, depth: int = 8) -> bytes:
    """The rows of an RGB image as PNG has them, unfiltered."""
    data, width = image.tobytes(), image.width * 3
    lines = (data[start : start + width] for start in range(0, len(data), width))
    if depth == 16:
        lines = (bytes(each for byte in line for each in (byte, byte)) for line in lines)
    return b"".join(b"\0" + line for line in lines)


def interlaced() -> bytes:
    """The chart in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    image, raw = chart(), b""
    for left, top, across, down in passes:
        small = Image.new("RGB", (len(range(left, 64, across)), len(range(top, 64, down))))
        for x in range(small.width):
            for y in range(small.height):
                small.putpixel((x, y), image.getpixel((left + x * across, top + y * down)))
        raw += rows(small)
    return png(64, 64, zlib.compress(raw), interlace=1)


def animated(format_name: str, frames: int) -> bytes:
    """The chart, then black frames."""
    more = [Image.new("RGB", (64, 64), (n % 200, 0, 0)) for n in range(frames - 1)]
    lossless = {"lossless": True} if format_name == "WEBP" else {}
    return encoded(chart(), format_name, save_all=True, append_images=more, duration=10, **lossless)


def text_bomb(chunks: int = 70) -> bytes:
    info = PngImagePlugin.PngInfo()
    for number in range(chunks):
        info.add_text(f"k{number}", "x" * 1_000_000, zip=True)
    return encoded(chart(), "PNG", pnginfo=info)


def profile_bomb() -> bytes:
    """An iCCP chunk that unpacks to 200 MB."""
    return with_chunks(encoded(chart(), "PNG"), png_chunk(b"iCCP", b"x\0\0" + zeros(200_000_000)))


def jpeg_with(marker: int, content: bytes) -> bytes:
    """The chart with one more segment behind its beginning."""
    whole = encoded(chart(), "JPEG", quality=95)
    return whole[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content + whole[2:]


def of_another_size(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame says that it is of this size."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


PHOTO: Final = encoded(chart(256), "JPEG", quality=90)
_WEBP: Final = encoded(chart(256), "WEBP", quality=90)
_PNG: Final = encoded(Image.effect_noise((128, 128), 90), "PNG")
_GIF: Final = encoded(chart(256), "GIF")

TOO_LARGE: Final[Mapping[str, Make]] = {
    "bomb of 64 megapixels": lambda: png(8000, 8000, zeros(8000 * 8001), color_type=0),
    "bomb that says 60 000 x 60 000": lambda: png(60_000, 60_000, zeros(1_000_000), color_type=0),
    "says it is of 4 gigapixels": lambda: png(65_000, 65_000, zlib.compress(b"\0" * 100)),
    "says it is of 2^31 by 2^31": lambda: png(0x7FFFFFFF, 0x7FFFFFFF, zeros(1000)),
    "one line of 2^31": lambda: png(0x7FFFFFFF, 1, zeros(1000), color_type=0),
    "webp above the limit": lambda: encoded(Image.new("L", (6000, 5000)), "WEBP", method=0, quality=1),
    "jpeg above the limit": lambda: encoded(Image.new("L", (8000, 4000)), "JPEG"),
    "jpeg that says 65 500 x 65 500": lambda: of_another_size(PHOTO, 65_500, 65_500),
    "gif above the limit": lambda: encoded(Image.new("P", (8000, 4000)), "GIF"),
}
SIDE_TOO_LONG: Final[Mapping[str, Make]] = {"side above the limit": lambda: encoded(Image.new("1", (8001, 2)), "PNG")}

DISGUISES: Final[Mapping[str, Make]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello" * 100,
    "SVG called PNG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "HTML called PNG": lambda: b"<!doctype html><img src=http://127.0.0.1:9/x.png>",
    "zip called PNG": lambda: b"PK\3\4" + bytes(40),
    "PDF called PNG": lambda: encoded(chart(), "PDF"),
    "TIFF called PNG": lambda: encoded(chart(), "TIFF"),
    "ICO called PNG": lambda: encoded(chart(), "ICO"),
    "PPM called PNG": lambda: encoded(chart(), "PPM"),
    "EPS called PNG": lambda: encoded(chart(), "EPS"),
    "PostScript called PNG": lambda: b"%!PS\n(/etc/passwd) (r) file 100 string readstring pop show\n",
    "EPS behind a preview": lambda: b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, 20, 0, 0, 0, 0) + bytes(8) + b"%!PS",
    "JPEG 2000 called PNG": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40,
    "PSD called PNG": lambda: b"8BPS\0\1" + b"\0" * 40,
    "FITS called PNG": lambda: b"SIMPLE  =                    T" + b" " * 50,
    "MSP called PNG": lambda: encoded(chart().convert("1"), "MSP"),
    "PCX called PNG": lambda: encoded(chart(), "PCX"),
    "TGA called PNG": lambda: encoded(chart(), "TGA"),
    "WMF called PNG": lambda: b"\xd7\xcd\xc6\x9a" + bytes(60),
    "EMF called PNG": lambda: b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60),
}

DAMAGED: Final[Mapping[str, Make]] = {
    "only a signature": lambda: b"\x89PNG\r\n\x1a\n",
    **{f"PNG cut at {share} %": (lambda share=share: _PNG[: len(_PNG) * share // 100]) for share in (1, 10, 50, 90)},
    **{f"JPEG cut at {share} %": (lambda share=share: PHOTO[: len(PHOTO) * share // 100]) for share in (1, 10, 50)},
    **{f"WebP cut at {share} %": (lambda share=share: _WEBP[: len(_WEBP) * share // 100]) for share in (5, 20, 60)},
    **{f"GIF cut at {share} %": (lambda share=share: _GIF[: len(_GIF) * share // 100]) for share in (1, 10, 50)},
    "PNG without pixels": lambda: png(0, 0, zlib.compress(b"")),
    "PNG without a column": lambda: png(0, 9, zlib.compress(bytes(9))),
    "wrong checksum": lambda: encoded(chart(), "PNG").replace(b"IDAT", b"IDAU", 1),
    "too little data": lambda: png(100, 100, zlib.compress(b"\0" * 10)),
    "chunk of 4 GB": lambda: with_chunks(_PNG, b"\xff\xff\xff\xfftEXt"),
    "depth that does not exist": lambda: png(9, 9, zeros(999), depth=7),
    "colours that do not exist": lambda: png(9, 9, zeros(999), color_type=5),
    "text bomb": text_bomb,
    "JPEG without tables": lambda: PHOTO.replace(b"\xff\xdb", b"\xff\xe1"),
}

CHARTS: Final[Mapping[str, Make]] = {
    **{name: (lambda name=name: encoded(chart(), name, quality=95)) for name in ("PNG", "JPEG", "WEBP")},
    "GIF": lambda: encoded(chart(), "GIF"),
    "GIF called JPEG": lambda: encoded(chart(), "GIF"),
    "CMYK": lambda: encoded(chart().convert("CMYK"), "JPEG", quality=98),
    "CMYK, inverted as Adobe has it": lambda: adobe_cmyk(),  # noqa: PLW0108 - defined below
    "16 bits": lambda: png(64, 64, zlib.compress(rows(chart(), depth=16)), depth=16),
    "palette": lambda: encoded(chart().convert("P", palette=Image.Palette.ADAPTIVE, colors=4), "PNG"),
    "interlaced PNG": interlaced,
    "progressive JPEG": lambda: encoded(chart(), "JPEG", quality=95, progressive=True),
    "GIF of 300 frames": lambda: animated("GIF", 300),
    "WebP of 60 frames": lambda: animated("WEBP", 60),
    "PNG of 20 frames": lambda: encoded(chart(), "PNG", save_all=True, append_images=[chart()] * 19),
    "JPEG of two pictures": lambda: encoded(chart(), "MPO", save_all=True, append_images=[chart()], quality=95),
    "broken profile": lambda: encoded(chart(), "PNG", icc_profile=b"not a profile"),
    "profile that ends early": lambda: encoded(chart(), "JPEG", icc_profile=srgb()[:100], quality=95),
    "profile of sRGB": lambda: encoded(chart(), "PNG", icc_profile=srgb()),
    "8 MB of comments": lambda: b"".join((PHOTO_HEAD, *[b"\xff\xfe\xff\xff" + bytes(65_533)] * 120, PHOTO_TAIL)),
    "EXIF of nothing": lambda: jpeg_with(0xE1, b"Exif\0\0" + b"\xff" * 60),
    "EXIF that points to itself": lambda: jpeg_with(0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0"
                                                          b"\x69\x87\4\0\1\0\0\0\x08\0\0\0"
                                                          b"\x08\0\0\0"),
    "polyglot": lambda: encoded(chart(), "PNG") + b"<script>alert(1)</script>PK\3\4",
}  # fmt: skip

_WHOLE: Final = encoded(chart(), "JPEG", quality=95)
PHOTO_HEAD, PHOTO_TAIL = _WHOLE[:2], _WHOLE[2:]


def adobe_cmyk() -> bytes:
    """What Photoshop writes: inverted inks, and a segment that says so. Pillow writes CMYK that way by itself."""
    content = encoded(chart().convert("CMYK"), "JPEG", quality=98)
    assert b"Adobe" in content
    return content
