"""The last step: from what Typst gives to the file that the caller asked for."""

import io
import re
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

_SVG_SIZE: Final = re.compile(r' width="[\d.]+pt" height="[\d.]+pt"')


def encode_jpeg(png: bytes, quality: int) -> bytes:
    """A JPEG has no transparency: what shows through is white. Full colour resolution, for the sake of texts."""
    image = _flat(_opened(png))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_webp(png: bytes, quality: int) -> bytes:
    """WebP keeps transparency. Raises MemoryError."""
    image = _opened(png)
    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, "WEBP", quality=quality, method=2)
    except ValueError as error:  # libwebp's "encoding error 1": out of memory
        raise MemoryError from error
    return buffer.getvalue()


def size_svg(svg: bytes, document: Mapping[str, Any], scale: int) -> bytes:
    """Typst gives the size in points, three quarters of which make a pixel; ours is in pixels."""
    head, separator, rest = svg.decode().partition(">")
    size = f' width="{document["width"] * scale}" height="{document["height"] * scale}"'
    return (_SVG_SIZE.sub(size, head, count=1) + separator + rest).encode()


def _opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _flat(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    return flat
