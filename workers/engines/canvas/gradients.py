"""Gradients as SVG pictures, for pixels: Typst works out each pixel's colour by itself, which takes 170 ms for the
background of a card until it remembers them. PDF and SVG keep Typst's own gradients.

Both are laid out in the unit square of the shape, so the same numbers serve (Typst's `Gradient::sample_at`).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from workers.engines.canvas.colors import read_color

_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_OPAQUE: Final = 255


def is_gradient(paint: Any) -> bool:
    return isinstance(paint, dict)


def is_opaque(paint: Mapping[str, Any]) -> bool:
    """Whether nothing shines through anywhere."""
    return all(read_color(color)[3] == _OPAQUE for color, _ in paint["stops"])


def gradient_picture(paint: Mapping[str, Any], width: float, height: float, *, shape: str = "rect") -> bytes:
    """An SVG of this size filled with a gradient, as `fade_paint` gives it; `shape` is rect or ellipse."""
    stops = "".join(_stop(color, at) for color, at in paint["stops"])
    if paint["type"] == "linear":
        ends = _ends(math.radians(paint["angle"]), width / height)
        places = " ".join(f'{name}="{value:.8g}"' for name, value in zip(("x1", "y1", "x2", "y2"), ends, strict=True))
        gradient = f'<linearGradient id="g" {places}>{stops}</linearGradient>'
    else:
        place = f'cx="{paint["cx"]:.8g}" cy="{paint["cy"]:.8g}" r="{paint["radius"]:.8g}"'
        gradient = f'<radialGradient id="g" {place}>{stops}</radialGradient>'
    box = f'width="{width:.8g}" height="{height:.8g}"'
    middle = f'cx="{width / 2:.8g}" cy="{height / 2:.8g}" rx="{width / 2:.8g}" ry="{height / 2:.8g}"'
    drawn = f'<rect {box} fill="url(#g)"/>' if shape == "rect" else f'<ellipse {middle} fill="url(#g)"/>'
    return f'<svg xmlns="{_NAMESPACE}" {box}><defs>{gradient}</defs>{drawn}</svg>'.encode()


def _stop(color: str, at: float) -> str:
    red, green, blue, alpha = read_color(color)
    return f'<stop offset="{at:.8g}" stop-color="#{red:02x}{green:02x}{blue:02x}" stop-opacity="{alpha / 255:.6g}"/>'


def _ends(angle: float, ratio: float) -> tuple[float, float, float, float]:
    """Where a linear gradient begins and ends in the unit square; `ratio` is width by height.

    The angle is one on the page, so it is another in the square. The ends are such that the corners have the outer
    colours.
    """
    across, down = math.cos(angle), math.sin(angle) / ratio
    length = math.hypot(across, down)
    across, down = across / length, down / length
    reach = abs(across) + abs(down)
    begin_x, begin_y = (0 if across >= 0 else 1), (0 if down >= 0 else 1)
    return begin_x, begin_y, begin_x + across * reach, begin_y + down * reach
