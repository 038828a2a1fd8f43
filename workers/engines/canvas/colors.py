"""Colours and gradients of a document, as the Typst program wants them, with a layer's opacity worked in."""

from collections.abc import Mapping
from typing import Any

_SHORT = {4, 5}  # "#rgb", "#rgba"


def read_color(color: str) -> tuple[int, int, int, int]:
    """Red, green, blue, alpha from 0 to 255 of a colour that the schema has checked."""
    digits = color[1:]
    if len(color) in _SHORT:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return red, green, blue, alpha


def fade(color: str, opacity: float) -> str:
    """The colour as #rrggbbaa, its alpha multiplied by the opacity."""
    red, green, blue, alpha = read_color(color)
    return f"#{red:02x}{green:02x}{blue:02x}{round(alpha * opacity):02x}"


def fade_paint(paint: Any, opacity: float) -> Any:
    """None, a colour or a gradient for the Typst program."""
    if paint is None:
        return None
    if isinstance(paint, str):
        return fade(paint, opacity)
    stops = _stops(paint["stops"], opacity)
    if paint["type"] == "linear":
        return {"type": "linear", "angle": paint["angle"] % 360, "stops": stops}
    center = paint["center"]
    return {"type": "radial", "cx": center["x"], "cy": center["y"], "radius": paint["radius"], "stops": stops}


def _stops(stops: list[Mapping[str, Any]], opacity: float) -> list[tuple[str, float]]:
    """In order, and from 0 to 1 as Typst requires: the outer colours reach to the ends."""
    ordered = sorted(stops, key=lambda stop: float(stop["at"]))
    faded = [(fade(stop["color"], opacity), stop["at"]) for stop in ordered]
    if faded[0][1] > 0:
        faded.insert(0, (faded[0][0], 0))
    if faded[-1][1] < 1:
        faded.append((faded[-1][0], 1))
    return faded


def fade_stroke(stroke: Mapping[str, Any] | None, opacity: float) -> dict[str, Any] | None:
    """A stroke for the Typst program; one without width is none."""
    if stroke is None or not stroke["width"]:
        return None
    return {**stroke, "color": fade(stroke["color"], opacity)}
