"""The Canvas engine, as it runs inside a confined child.

The document is checked and the caller's data worked in; Pillow prepares the pixels; one fixed Typst program draws
what it reads from a virtual file; Pillow encodes. A second compilation comes first when layers cast shadows.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typst

from workers.engines import pdf
from workers.engines.canvas.cache import PictureCache
from workers.engines.canvas.colors import fade_paint
from workers.engines.canvas.drawing import Drawing, Surroundings, background_picture, make_drawing
from workers.engines.canvas.encode import encode_jpeg, encode_webp, size_svg
from workers.engines.canvas.fonts import FontTable
from workers.engines.canvas.gradients import is_gradient
from workers.engines.canvas.options import PIXEL_FORMATS
from workers.engines.canvas.pictures import MAX_SIDE
from workers.engines.canvas.schema import check_document
from workers.engines.canvas.shadows import (
    Window,
    cast_shadow,
    shadow_key,
    shadow_layer,
    shadow_sheet,
    shadow_windows,
)
from workers.engines.canvas.sources import TemplateFiles
from workers.engines.canvas.values import read_values
from workers.engines.needs import ROOT, ChildNeeds, font_folders
from workers.engines.pdf_standards import confirm_standards
from workers.engines.remote import RemoteFiles
from workers.engines.typst_compiler import load_fonts, make_compiler, with_team_fonts
from workers.engines.typst_messages import MAX_MESSAGE_CHARACTERS, MAX_WARNINGS
from workers.engines.typst_stack import learn_stack
from workers.errors import EngineError, LimitExceededError, TemplateError

_PROGRAM: Final = Path(__file__).with_name("program.typ").read_bytes()
_PROGRAM_FILE: Final = "main.typ"
_DRAWING_FILE: Final = "drawing.json"
_PPI = 72
"""One pixel of the document is one point of the program."""
_CACHE_BYTES: Final = 48 << 20
_WARM_UP: Final = b"""{"width": 64, "height": 64, "layers": [
  {"type": "rect", "x": 4, "y": 4, "width": 40, "height": 40, "shadow": {"blur": 4}},
  {"type": "text", "x": 4, "y": 4, "width": 60, "height": 20, "text": "Ready", "fit": "shrink"},
  {"type": "qr", "x": 4, "y": 24, "width": 30, "height": 30, "value": "1"}]}"""
_WARM_UP_REQUEST: Final = {
    "format": "png",
    "options": {"scale": 1, "timestamp": 0},
    "limits": {"max_pixels": 1 << 20, "max_output_bytes": 1 << 20},
}


class CanvasEngine:
    """Draws one job after the other. Built in the zygote, opened in the child, never used by two teams."""

    name = "canvas"

    def __init__(self, fonts: str, package_path: str) -> None:
        self._font_folders = font_folders(fonts)
        self._fonts = load_fonts(self._font_folders)
        self._package_path = package_path
        self._root = ""
        self._cache = PictureCache(_CACHE_BYTES)
        learn_stack()
        self._compiler: Any = None

    @classmethod
    def needs(cls) -> ChildNeeds:
        return ChildNeeds()

    def open(self, slot: str) -> None:
        """Make the compiler for the files of a slot and pay now for what the first document would pay."""
        self._root = f"{slot}/{ROOT}"
        self._fonts = with_team_fonts(self._fonts, self._font_folders, slot)
        self._compiler = make_compiler(slot, self._fonts, self._package_path)
        self.render(_WARM_UP_REQUEST, _WARM_UP, b"{}")

    def render(self, request: Mapping[str, Any], source: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Give what `RenderedDocument` holds besides the content, and the content. Raises RenderError."""
        options, limits = request["options"], request["limits"]
        scale = options["scale"]
        document = check_document(_read_document(source))
        _check_size(document, scale, limits["max_pixels"])
        fonts = FontTable(self._fonts.families.values())
        files = TemplateFiles(self._root, RemoteFiles(request.get("remote", {}), self._root))
        around = Surroundings(read_values(data), files, scale, fonts, self._cache, request["format"] in PIXEL_FORMATS)
        drawing = make_drawing(document, around)
        if fonts.missing and options.get("strict_fonts"):
            raise TemplateError(
                f'font family "{fonts.missing[0]}" is not installed, and strict_fonts asks for no other'
            )
        sheet = self._sheet(drawing, around, limits["max_pixels"])
        content = self._finished(drawing, sheet, request)
        if len(content) > limits["max_output_bytes"]:
            raise LimitExceededError(f"document is larger than {limits['max_output_bytes'] / (1 << 20):g} MB")
        used = pdf.embedded_fonts(content, self._fonts.families) if request["format"] == "pdf" else fonts.used
        warnings = [f'font family "{name}" is not installed; another one was used' for name in fonts.missing]
        head = {"pages": 1, "warnings": warnings[:MAX_WARNINGS], "fonts_asked": fonts.asked, "fonts_used": used}
        if request["format"] == "pdf":
            head["standards"] = confirm_standards(content, options.get("pdf_standard", []))
        return head, content

    def _sheet(self, drawing: Drawing, around: Surroundings, max_pixels: int) -> dict[str, Any]:
        """The one sheet of the document, every shadow directly below its layer."""
        scale = around.scale
        windows = shadow_windows(drawing, scale, max_pixels)
        pictures = self._shadows(drawing, windows, scale)
        shadows = {
            window.layer: shadow_layer(drawing, window, picture)
            for window, picture in zip(windows, pictures, strict=True)
        }
        layers = []
        for number, layer in enumerate(drawing.layers):
            if number in shadows:
                layers.append(shadows[number])
            layers.append(layer.drawn)
        document = drawing.document
        fill = fade_paint(document["background"], 1)
        if around.pixels and is_gradient(fill):
            layers.insert(0, background_picture(drawing, fill))
            fill = None
        return {
            "x": 0,
            "y": 0,
            "width": document["width"],
            "height": document["height"],
            "fill": fill,
            "layers": layers,
        }

    def _shadows(self, drawing: Drawing, windows: list[Window], scale: int) -> list[bytes]:
        """The shadow of each window; those that are not remembered are drawn in one compilation."""
        keys = [shadow_key(drawing, window, scale) for window in windows]
        known = {key: picture for key in keys if (picture := self._cache.get(key)) is not None}
        fresh = {key: window for key, window in zip(keys, windows, strict=True) if key not in known}
        if fresh:
            sheets = [shadow_sheet(drawing, window) for window in fresh.values()]
            drawn = self._compiled(drawing, sheets, "png", ppi=_PPI * scale)
            for (key, window), sheet in zip(
                fresh.items(), [drawn] if isinstance(drawn, bytes) else drawn, strict=True
            ):
                known[key] = cast_shadow(sheet, drawing.layers[window.layer].shadow or {}, scale)
                self._cache.put(key, known[key])
        return [known[key] for key in keys]

    def _finished(self, drawing: Drawing, sheet: dict[str, Any], request: Mapping[str, Any]) -> bytes:
        options = request["options"]
        match request["format"]:
            case "pdf":
                standards, timestamp = options.get("pdf_standard", []), options["timestamp"]
                content: bytes = self._compiled(drawing, [sheet], "pdf", pdf_standards=standards, timestamp=timestamp)
                return content
            case "svg":
                return size_svg(self._compiled(drawing, [sheet], "svg"), drawing.document, options["scale"])
            case other:
                png: bytes = self._compiled(drawing, [sheet], "png", ppi=_PPI * options["scale"])
        match other:
            case "jpg":
                return encode_jpeg(png, options["quality"])
            case "webp":
                return encode_webp(png, options["quality"])
            case _:
                return png

    def _compiled(self, drawing: Drawing, sheets: list[dict[str, Any]], format_name: str, **settings: Any) -> Any:
        text = json.dumps({"title": drawing.document["title"], "sheets": sheets}, ensure_ascii=False)
        files = {_PROGRAM_FILE: _PROGRAM, _DRAWING_FILE: text.encode(), **drawing.pictures}
        try:
            return self._compiler.compile(input=files, format=format_name, **{"timestamp": 0, **settings})
        except typst.TypstError as error:
            message = error.message.replace(self._root, "")[:MAX_MESSAGE_CHARACTERS]
            if settings.get("pdf_standards"):  # all else has been checked, but a standard may forbid what is drawn
                raise TemplateError(f"the PDF cannot follow the standard: {message}") from error
            raise EngineError(f"the typesetter could not finish: {message}") from error


def _read_document(source: bytes) -> Any:
    try:
        return json.loads(source, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise TemplateError("the document is nested too deeply") from error
    except json.JSONDecodeError as error:
        message = f"line {error.lineno}, column {error.colno}: the document is not valid JSON: {error.msg}"
        raise TemplateError(message, line=error.lineno, column=error.colno) from error
    except ValueError as error:
        raise TemplateError(f"the document is not valid JSON: {str(error).partition(';')[0]}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _check_size(document: Mapping[str, Any], scale: int, max_pixels: int) -> None:
    width, height = document["width"] * scale, document["height"] * scale
    if max(width, height) > MAX_SIDE:
        raise LimitExceededError(f"image would be {width} x {height} pixels; a side may have at most {MAX_SIDE:,}")
    if width * height > max_pixels:
        raise LimitExceededError(f"image has more than {max_pixels / 1e6:g} megapixels")
