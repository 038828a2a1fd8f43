"""Images for a document: from an asset, an address or a data URI, decoded once to see that they are what they seem.

Word and LibreOffice would decode them again, with their own opinions: what Pillow cannot decode is refused, and what
is not plain PNG or JPEG, or is turned by EXIF, is handed on as the PNG that Pillow made of it.
"""

import base64
import binascii
import io
import struct
import warnings
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from docx.image.exceptions import InvalidImageStreamError, UnexpectedEndOfFileError, UnrecognizedImageError
from docx.image.image import Image as DocxImage
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from workers.engines.remote import SCHEMES
from workers.errors import TemplateError

ReadFile = Callable[[str], bytes | None]
"""Gives the content of an asset by its name or of an address, None when there is no such asset. Raises TemplateError
when an address cannot be read."""

MAX_IMAGE_BYTES: Final = 10 << 20
MAX_PIXELS: Final = 25_000_000
PLACEHOLDER: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One clear pixel (GIF), while an image is still to be fetched."""
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_KEPT_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_ORIENTATION = 0x0112
_UPRIGHT = frozenset({None, 0, 1})
_SHOWN = 40
_UNREADABLE_HEADER: Final = (struct.error, ValueError, KeyError, IndexError, ArithmeticError)
"""What python-docx raises for headers that are damaged in ways it does not expect."""


def prepare() -> None:
    """Load Pillow's decoders, while files may still be read."""
    PillowImage.init()


def load_image(name: str, read_file: ReadFile) -> bytes:
    """PNG or JPEG bytes for a name or a data URI. Raises TemplateError."""
    if name[:5].casefold() == "data:":
        content, shown = _from_data_uri(name), "in the data URI"
    elif "://" in name and not name.lower().startswith(SCHEMES):
        raise TemplateError(
            f"the image {name[:_SHOWN]!r} is an address that cannot be fetched; give one that begins with https://, "
            "upload it as an asset, or give a data URI"
        )
    else:
        found, shown = _read(name, read_file), repr(name[:_SHOWN])
        if found is None:
            raise TemplateError(f"there is no image {shown} among the assets of this template")
        content = found
    if len(content) > MAX_IMAGE_BYTES:
        raise TemplateError(f"the image {shown} is larger than {MAX_IMAGE_BYTES >> 20} MB")
    return _checked(content, shown)


def _read(name: str, read_file: ReadFile) -> bytes | None:
    try:
        return read_file(name)
    except TemplateError as error:
        raise TemplateError(f"the image {name[:_SHOWN]!r} {error.message}") from error


def _from_data_uri(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma or not head[5:].casefold().startswith("image/"):
        raise TemplateError(f"the data URI {uri[:_SHOWN]!r} is not one of an image")
    if not head.casefold().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TemplateError(f"the data URI {uri[:_SHOWN]!r} is not valid base64") from error


def _checked(content: bytes, shown: str) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _decoded(content, shown)
    except TemplateError:
        raise
    except UnidentifiedImageError as error:
        raise TemplateError(f"the image {shown} is not a PNG, JPEG, GIF, WebP or BMP") from error
    except (PillowImage.DecompressionBombWarning, PillowImage.DecompressionBombError) as error:
        raise _too_large(shown) from error
    # a decoder fed with a stranger's bytes may fail in any way
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise TemplateError(f"the image {shown} is damaged") from error


def _decoded(content: bytes, shown: str) -> bytes:
    with PillowImage.open(io.BytesIO(content), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(shown)
        image.load()
        is_upright = image.getexif().get(_ORIENTATION) in _UPRIGHT
        is_plain = image.format in {"PNG", "JPEG"} and is_upright and image.mode in _KEPT_MODES
        if is_plain and _can_be_placed(content):
            return content
        turned = ImageOps.exif_transpose(image)
        plain = turned if turned.mode in _KEPT_MODES else turned.convert("RGB")
        target = io.BytesIO()
        plain.save(target, "PNG", dpi=image.info.get("dpi", (96, 96)))
        return target.getvalue()


def _too_large(shown: str) -> TemplateError:
    return TemplateError(f"the image {shown} has more than {MAX_PIXELS // 1_000_000} megapixels")


def _can_be_placed(content: bytes) -> bool:
    """Whether python-docx, which reads the size of what it places by itself, understands this file as well.

    It does not know a JPEG that begins with neither JFIF nor EXIF, as graphics programs write them.
    """
    try:
        DocxImage.from_blob(content)
    except (UnrecognizedImageError, InvalidImageStreamError, UnexpectedEndOfFileError, *_UNREADABLE_HEADER):
        return False
    return True
