"""Shadows: the layer alone is drawn on a transparent sheet, its alpha blurred and tinted, and laid below the layer.

One way for every kind of layer, whatever its shape. A sheet is only as large as the shadow that can be seen.
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageFilter

from workers.engines.canvas.colors import read_color
from workers.engines.canvas.drawing import Drawing
from workers.engines.canvas.pictures import Picture
from workers.engines.canvas.svg import wrap_picture
from workers.errors import LimitExceededError

_REACH: Final = 1.5
"""A blur of twice the standard deviation is invisible beyond three deviations."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the sheet in which a layer casts its shadow, in whole pixels of the document."""

    layer: int
    x: int
    y: int
    width: int
    height: int


def shadow_windows(drawing: Drawing, scale: int, max_pixels: int) -> list[Window]:
    """One window for each shadow that can be seen. Raises LimitExceededError when they are too large together."""
    windows = []
    for number, layer in enumerate(drawing.layers):
        if layer.shadow is not None and (window := _window(number, layer.drawn, layer.shadow, drawing.document)):
            windows.append(window)
    if sum(window.width * window.height for window in windows) * scale**2 > max_pixels:
        raise LimitExceededError(f"the shadows together have more than {max_pixels / 1e6:g} megapixels")
    return windows


def _window(
    number: int, drawn: Mapping[str, Any], shadow: Mapping[str, Any], document: Mapping[str, Any]
) -> Window | None:
    """Where the layer is, grown by the blur, as far as its shadow falls onto the sheet."""
    reach = shadow["blur"] * _REACH + 1
    left, top, right, bottom = _extent(drawn, document)
    left = math.floor(max(left, -shadow["x"]) - reach)
    top = math.floor(max(top, -shadow["y"]) - reach)
    right = math.ceil(min(right, document["width"] - shadow["x"]) + reach)
    bottom = math.ceil(min(bottom, document["height"] - shadow["y"]) + reach)
    if right - left <= 2 * reach or bottom - top <= 2 * reach:
        return None
    return Window(number, left, top, right - left, bottom - top)


def _extent(drawn: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """A box around everything that the layer shows; how far a text runs is not known before it is set."""
    x, y, width, height = drawn["x"], drawn["y"], drawn["width"], drawn["height"]
    if drawn["kind"] == "text" and (height is None or drawn["fit"] not in {"clip", "ellipsis"}):
        return -math.inf, -math.inf, math.inf, math.inf
    stroke = drawn.get("stroke")
    around = (stroke["width"] if stroke else 0) + drawn.get("font_size", 0)
    if drawn["rotation"] % 360:
        half = math.hypot(width, height) / 2 + around
        return x + width / 2 - half, y + height / 2 - half, x + width / 2 + half, y + height / 2 + half
    return x - around, y - around, x + width + around, y + height + around


def shadow_sheet(drawing: Drawing, window: Window) -> dict[str, Any]:
    """A transparent sheet that shows the layer of a window and nothing else."""
    return {
        "x": window.x,
        "y": window.y,
        "width": window.width,
        "height": window.height,
        "fill": None,
        "layers": [_silhouette(drawing.layers[window.layer].drawn)],
    }


def _silhouette(drawn: dict[str, Any]) -> dict[str, Any]:
    """What casts the same shadow as the layer. A photograph does as its frame: cheaper, and the same for the next."""
    if drawn.get("solid") is None:
        return drawn
    return {**drawn, "kind": "rect", "fill": drawn["solid"], "file": None}


def shadow_key(drawing: Drawing, window: Window, scale: int) -> str:
    """What the shadow depends on. Pictures are named by their content."""
    layer = drawing.layers[window.layer]
    return json.dumps([shadow_sheet(drawing, window), layer.shadow, scale])


def cast_shadow(sheet: bytes, shadow: Mapping[str, Any], scale: int) -> bytes:
    """The shadow of what the sheet shows, as an SVG of the sheet's size."""
    mask = Image.open(io.BytesIO(sheet), formats=("PNG",)).getchannel("A")
    width, height = mask.width / scale, mask.height / scale
    reach = math.ceil(shadow["blur"] * _REACH * scale)
    left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
    left, top = max(0, left - reach), max(0, top - reach)
    mask = mask.crop((left, top, min(mask.width, right + reach), min(mask.height, bottom + reach)))
    if shadow["blur"]:
        mask = mask.filter(ImageFilter.GaussianBlur(shadow["blur"] / 2 * scale))
    red, green, blue, alpha = read_color(shadow["color"])
    tinted = Image.new("RGBA", mask.size, (red, green, blue))
    tinted.putalpha(mask.point([round(value * alpha / 255) for value in range(256)]))
    buffer = io.BytesIO()
    tinted.save(buffer, "PNG", compress_level=1)
    placed = (left / scale, top / scale, mask.width / scale, mask.height / scale)
    return wrap_picture(Picture(buffer.getvalue(), "image/png", *placed), width, height, 1)


def shadow_layer(drawing: Drawing, window: Window, picture: bytes) -> dict[str, Any]:
    """The shadow as a layer of the sheet."""
    shadow = drawing.layers[window.layer].shadow or {}
    return {
        "kind": "picture",
        "file": drawing.add_picture(picture),
        "x": window.x + shadow["x"],
        "y": window.y + shadow["y"],
        "width": window.width,
        "height": window.height,
        "rotation": 0,
        "radius": [0, 0, 0, 0],
        "stroke": None,
        "alt": "",
    }
