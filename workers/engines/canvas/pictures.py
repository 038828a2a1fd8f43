"""Untrusted images, decoded by Pillow and handed on as fresh files of our own making.

Typst never sees a stranger's file: the two disagree on damaged ones, Typst ignores the orientation of a WebP, and
what is laid into the document must be the pixels that were checked.
"""

import contextlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import (  # the plug-ins by name: a child cannot open the standard library or a package any more
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFilter,
    ImageOps,
    ImagePalette,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from workers.errors import LimitExceededError, TemplateError

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
MAX_SIDE: Final = 8000
MAX_PIXELS: Final = 25_000_000
_JPEG_QUALITY = 95
_SRGB: Final = ImageCms.createProfile("sRGB")

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
Image.preinit()  # what Image.open would do at its first call
LOADED: Final = (
    GifImagePlugin,
    ImagePalette,
    JpegImagePlugin,
    MpoImagePlugin,  # a JPEG that holds a second picture, as many phones make them
    PngImagePlugin,
    TiffImagePlugin,  # EXIF is written in its terms
    WebPImagePlugin,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and where it lies in its box, in pixels of the document."""

    content: bytes
    media_type: str
    x: float
    y: float
    width: float
    height: float


def decode_image(content: bytes) -> Image.Image:
    """Decode and turn as its EXIF says, in the modes RGB, RGBA, L or LA and in sRGB. First frame only.

    Raises TemplateError when it is not an image in one of FORMATS, or damaged, and LimitExceededError when it is too
    large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sizes are checked below; damaged EXIF does not matter
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_size(image)
            image.load()
            turned = ImageOps.exif_transpose(image)
            return _in_srgb(turned)
    except UnidentifiedImageError as error:
        raise TemplateError("is not a PNG, JPEG, WebP or GIF") from error
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    # Pillow's decoders raise all of these for damaged files
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, ArithmeticError, EOFError) as error:
        raise TemplateError("is a damaged image") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise _too_large(width, height)
    if not width or not height:
        raise TemplateError("is an image without pixels")


def _too_large(width: int = 0, height: int = 0) -> LimitExceededError:
    size = f" of {width} x {height} pixels" if width else ""
    limits = f"at most {MAX_SIDE:,} pixels a side and {MAX_PIXELS / 1e6:g} megapixels are allowed"
    return LimitExceededError(f"is an image{size}; {limits}")


def _in_srgb(image: Image.Image) -> Image.Image:
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith("I"):  # 16 bits in 32 or 16; Pillow's own conversion would cut instead of scale
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    profile = image.info.get("icc_profile")
    if profile and image.mode in {"RGB", "RGBA", "CMYK"}:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        # a profile that is damaged or for another kind of colours is as good as none
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, _SRGB, outputMode=mode) or image
    if has_alpha:
        return image.convert("LA" if image.mode in {"L", "LA", "1"} else "RGBA")
    return image.convert("L" if image.mode in {"1", "L"} else "RGB")


def is_jpeg(content: bytes) -> bool:
    """Whether this is a photograph, which has no transparency."""
    return content.startswith(b"\xff\xd8")


def place_image(content: bytes, layer: Mapping[str, Any], scale: float) -> Picture:
    """Crop, scale down and encode an image for a layer with width, height, fit, focus, blur and grayscale.

    An image is never scaled up here: what draws the document does that as well, from fewer bytes.
    """
    image = decode_image(content)
    width, height = layer["width"], layer["height"]
    x = y = 0.0
    if layer["fit"] == "cover":
        image = _cropped(image, width / height, layer["focus"])
    elif layer["fit"] == "contain":
        factor = min(width / image.width, height / image.height)
        x = (width - image.width * factor) * layer["focus"]["x"]
        y = (height - image.height * factor) * layer["focus"]["y"]
        width, height = image.width * factor, image.height * factor
    image = _reduced(image, width * scale, height * scale)
    if layer["grayscale"]:
        image = image.convert("LA" if "A" in image.getbands() else "L")
    if layer["blur"]:
        image = _blurred(image, layer["blur"] / 2 * image.width / width)
    return Picture(*_encoded(image, as_jpeg=is_jpeg(content)), x, y, width, height)


def _cropped(image: Image.Image, ratio: float, focus: Mapping[str, float]) -> Image.Image:
    """The largest part of the image with this ratio of width to height, as close to the focus as it can lie."""
    width = max(1, min(image.width, round(image.height * ratio)))
    height = max(1, min(image.height, round(image.width / ratio)))
    left = round((image.width - width) * focus["x"])
    top = round((image.height - height) * focus["y"])
    return image if (width, height) == image.size else image.crop((left, top, left + width, top + height))


def _reduced(image: Image.Image, width: float, height: float) -> Image.Image:
    size = (min(image.width, max(1, round(width))), min(image.height, max(1, round(height))))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _blurred(image: Image.Image, deviation: float) -> Image.Image:
    """Blur with premultiplied colours, so that what is transparent has no colour that could bleed."""
    if image.mode == "LA":
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        return image.convert("RGBa").filter(ImageFilter.GaussianBlur(deviation)).convert("RGBA")
    return image.filter(ImageFilter.GaussianBlur(deviation))


def _encoded(image: Image.Image, *, as_jpeg: bool) -> tuple[bytes, str]:
    """A photograph stays a JPEG, at a quality that does not show; everything else keeps its pixels."""
    buffer = io.BytesIO()
    image.info.clear()  # neither profile nor place nor camera
    if as_jpeg:
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        return buffer.getvalue(), "image/jpeg"
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), "image/png"
