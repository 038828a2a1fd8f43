"""Turns a checked document and the caller's values into what the Typst program draws."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workers.engines.canvas.cache import PictureCache
from workers.engines.canvas.codes import code_rows
from workers.engines.canvas.colors import fade, fade_paint, fade_stroke
from workers.engines.canvas.fonts import FontTable
from workers.engines.canvas.gradients import gradient_picture, is_gradient, is_opaque
from workers.engines.canvas.pictures import is_jpeg, place_image
from workers.engines.canvas.schema import name_layer
from workers.engines.canvas.sources import TemplateFiles, read_source
from workers.engines.canvas.svg import draw_modules, wrap_picture, wrap_svg
from workers.engines.canvas.values import fill_layer, is_visible
from workers.errors import RenderError, TemplateError

MAX_TEXT_CHARACTERS: Final = 10_000
_CAPTION_SHARE = 0.22
"""How much of a barcode's height its text takes."""
_TRANSPARENT: Final = "#00000000"
"""A text has a fill in any case."""
_RIGHT_TO_LEFT: Final = {"R", "AL"}
_LINE_ENDS: Final = {"\r\n": "\n", "\r": "\n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\t": "    "}


@dataclass(slots=True)
class DrawnLayer:
    """A layer as the Typst program draws it, and the shadow that it casts."""

    name: str
    drawn: dict[str, Any]
    shadow: Mapping[str, Any] | None


@dataclass(slots=True)
class Drawing:
    """Everything but the shadows. `pictures` are virtual files of the Typst program, SVG named by their content."""

    document: Mapping[str, Any]
    layers: list[DrawnLayer] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def add_picture(self, svg: bytes) -> str:
        name = f"{hashlib.blake2b(svg, digest_size=16).hexdigest()}.svg"
        self.pictures[name] = svg
        return name


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What layers are drawn with besides their own fields. `pixels`: the document becomes a picture of pixels."""

    values: Mapping[str, Any]
    files: TemplateFiles
    scale: int
    fonts: FontTable
    cache: PictureCache
    pixels: bool


def make_drawing(document: Mapping[str, Any], around: Surroundings) -> Drawing:
    """Resolve every layer that is visible. Raises RenderError that names the layer and the field.

    Layers whose image is still to be fetched are left out until the others have been seen.
    """
    drawing = Drawing(document)
    for number, layer in enumerate(document["layers"], 1):
        if not is_visible(layer["visible"], around.values) or layer["opacity"] == 0:
            continue
        name = name_layer(number, layer)
        drawn = _drawn(drawing, fill_layer(layer, around.values), around, name)
        if drawn is not None:
            drawing.layers.append(DrawnLayer(name, drawn, layer["shadow"]))
    around.files.remote.check()
    return drawing


def background_picture(drawing: Drawing, fill: Mapping[str, Any]) -> dict[str, Any]:
    """A gradient over the whole document, as its lowest layer."""
    width, height = drawing.document["width"], drawing.document["height"]
    file = drawing.add_picture(gradient_picture(fill, width, height))
    placed = {"kind": "picture", "x": 0, "y": 0, "width": width, "height": height, "rotation": 0}
    return {**placed, "file": file, "radius": [0, 0, 0, 0], "stroke": None, "alt": ""}


def _drawn(drawing: Drawing, layer: dict[str, Any], around: Surroundings, name: str) -> dict[str, Any] | None:
    subject = _SUBJECTS.get(layer["type"], "")
    try:
        drawn = _DRAW[layer["type"]](drawing, layer, around)
    except RenderError as error:
        error.message = f"{name}: {subject}{error.message}"
        raise
    return None if drawn is None else {"x": layer["x"], "y": layer["y"], "rotation": layer["rotation"], **drawn}


def _draw_text(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    text = _cleaned(layer["text"])
    if len(text) > MAX_TEXT_CHARACTERS:
        raise TemplateError(f"is longer than {MAX_TEXT_CHARACTERS:,} characters with the data in it")
    if layer["case"] != "none":
        text = text.upper() if layer["case"] == "upper" else text.lower()
    lang = drawing.document["lang"]
    copied = ("width", "font_size", "font_weight", "italic", "underline", "strike", "align", "valign", "line_height")
    return {
        "kind": "text",
        "text": text,
        **{key: layer[key] for key in (*copied, "letter_spacing", "fit", "max_lines")},
        "height": layer.get("height"),
        "min_font_size": min(layer["min_font_size"], layer["font_size"]),
        "font_family": around.fonts.resolve(layer["font_family"], lang),
        "justify": layer["align"] == "justify",
        "align": "start" if layer["align"] == "justify" else layer["align"],
        "color": fade_paint(layer["color"], layer["opacity"]) or _TRANSPARENT,
        "stroke": fade_stroke(layer["stroke"], layer["opacity"]),
        "lang": lang,
        "direction": _direction(text) if layer["direction"] == "auto" else layer["direction"],
    }


def _cleaned(text: str) -> str:
    """Line ends as Typst knows them, and no other control characters, which no font has."""
    for other, ours in _LINE_ENDS.items():
        text = text.replace(other, ours)
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter) not in {"Cc", "Cs"})


def _direction(text: str) -> str:
    for letter in text:
        kind = unicodedata.bidirectional(letter)
        if kind == "L":
            return "ltr"
        if kind in _RIGHT_TO_LEFT:
            return "rtl"
    return "ltr"


def _draw_image(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any] | None:
    if not layer["src"]:
        return None
    content = read_source(layer["src"], around.files)
    if content is None:
        return None
    wanted = [layer[key] for key in ("width", "height", "fit", "focus", "blur", "grayscale", "opacity")]
    key = (hashlib.blake2b(content).digest(), json.dumps(wanted), around.scale)
    svg = around.cache.get(key)
    if svg is None:
        picture = place_image(content, layer, around.scale)
        svg = wrap_picture(picture, layer["width"], layer["height"], layer["opacity"])
        around.cache.put(key, svg)
    is_opaque = is_jpeg(content) and layer["fit"] != "contain"
    return {**_picture(drawing, layer, svg), "solid": fade("#000", layer["opacity"]) if is_opaque else None}


def _draw_svg(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any] | None:
    markup = layer["svg"].encode() or (read_source(layer["src"], around.files) if layer["src"] else b"")
    if not markup:
        return None
    svg = wrap_svg(markup, layer["fit"], layer["width"], layer["height"], layer["opacity"])
    return _picture(drawing, layer, svg)


def _picture(drawing: Drawing, layer: Mapping[str, Any], svg: bytes) -> dict[str, Any]:
    return {
        "kind": "picture",
        "file": drawing.add_picture(svg),
        "width": layer["width"],
        "height": layer["height"],
        "radius": _corners(layer.get("radius", 0)),
        "stroke": fade_stroke(layer.get("stroke"), layer["opacity"]),
        "alt": layer.get("alt", ""),
    }


def _draw_code(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    """A code is one picture; with a text below it, a group of both."""
    rows, caption = code_rows(layer)
    size = layer["height"] * _CAPTION_SHARE if caption else 0
    height = layer["height"] - size
    bars = _picture(drawing, {**layer, "height": height, "alt": layer["value"]}, draw_modules(rows, layer, height))
    if not caption:
        return bars
    text = {
        "kind": "text", "text": caption, "width": layer["width"], "height": size, "font_size": size,
        "font_weight": 400, "italic": False, "underline": False, "strike": False, "align": "center",
        "valign": "middle", "line_height": 1, "letter_spacing": 0, "fit": "shrink", "max_lines": 1,
        "min_font_size": min(1, size),
        "font_family": around.fonts.resolve(layer["font_family"], "en"), "justify": False,
        "color": fade(layer["color"], layer["opacity"]), "stroke": None, "lang": "en", "direction": "ltr",
    }  # fmt: skip
    return {
        "kind": "group",
        "width": layer["width"],
        "height": layer["height"],
        "fill": fade_paint(layer["background"], layer["opacity"]),
        "parts": [{"x": 0, "y": 0, **bars}, {"x": 0, "y": height, **text}],
    }


def _draw_rect(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    drawn = {**_draw_shape(layer), "kind": "rect", "radius": _corners(layer["radius"])}
    return _with_gradient_as_picture(drawing, drawn, layer) if around.pixels else drawn


def _draw_ellipse(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    drawn = {**_draw_shape(layer), "kind": "ellipse"}
    return _with_gradient_as_picture(drawing, drawn, layer) if around.pixels and not drawn["stroke"] else drawn


def _with_gradient_as_picture(drawing: Drawing, drawn: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """The same to look at, but drawn faster. Not when it is turned: the edges of pictures are not smoothed."""
    if not is_gradient(drawn["fill"]) or layer["rotation"] or not (drawn["width"] and drawn["height"]):
        return drawn
    svg = gradient_picture(drawn["fill"], drawn["width"], drawn["height"], shape=drawn["kind"])
    is_box = drawn["kind"] == "rect" and is_opaque(drawn["fill"])
    return {
        **drawn,
        "kind": "picture",
        "file": drawing.add_picture(svg),
        "radius": drawn.get("radius", [0, 0, 0, 0]),
        "alt": "",
        "solid": "#000" if is_box else None,
    }


def _draw_shape(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "width": layer["width"],
        "height": layer["height"],
        "fill": fade_paint(layer["fill"], layer["opacity"]),
        "stroke": fade_stroke(layer["stroke"], layer["opacity"]),
    }


def _draw_line(drawing: Drawing, layer: dict[str, Any], around: Surroundings) -> dict[str, Any] | None:
    stroke = fade_stroke(layer["stroke"], layer["opacity"])
    if stroke is None:
        return None
    left, top = min(layer["x"], layer["x2"]), min(layer["y"], layer["y2"])
    return {
        "kind": "line",
        "x": left,
        "y": top,
        "width": abs(layer["x2"] - layer["x"]),
        "height": abs(layer["y2"] - layer["y"]),
        "start": (layer["x"] - left, layer["y"] - top),
        "end": (layer["x2"] - left, layer["y2"] - top),
        "stroke": stroke,
    }


def _corners(radius: Any) -> list[float]:
    return list(radius) if isinstance(radius, list) else [radius] * 4


_DRAW: Final = {
    "text": _draw_text,
    "image": _draw_image,
    "rect": _draw_rect,
    "ellipse": _draw_ellipse,
    "line": _draw_line,
    "svg": _draw_svg,
    "qr": _draw_code,
    "barcode": _draw_code,
}
_SUBJECTS: Final = {"text": "text ", "image": "src ", "svg": "the drawing ", "qr": "value ", "barcode": "value "}
"""What the messages of the functions above are about."""
