"""Pictures for the Typst program. All of them are SVG files: a virtual file of Typst must be text, so pixels travel
in a data: URI, which Typst decodes at full speed (measured: no slower than a PNG from disk).
"""

import base64
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.parsers import expat

from workers.engines.canvas.colors import read_color
from workers.engines.canvas.pictures import Picture
from workers.errors import TemplateError

_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_RATIOS: Final = {"cover": "xMidYMid slice", "contain": "xMidYMid meet", "stretch": "none"}


def wrap_picture(picture: Picture, width: float, height: float, opacity: float) -> bytes:
    """An SVG of this size with a picture somewhere in it."""
    where = f'x="{picture.x:.6g}" y="{picture.y:.6g}" width="{picture.width:.6g}" height="{picture.height:.6g}"'
    image = f'<image {where} preserveAspectRatio="none" opacity="{opacity:.6g}"'
    return _wrapped(picture.content, picture.media_type, image, width, height)


def wrap_svg(markup: bytes, fit: str, width: float, height: float, opacity: float) -> bytes:
    """An SVG of this size filled with a stranger's SVG, which stays vectors. Raises TemplateError."""
    check_svg(markup)
    where = f'width="{width:.6g}" height="{height:.6g}" preserveAspectRatio="{_RATIOS[fit]}"'
    return _wrapped(markup, "image/svg+xml", f'<image {where} opacity="{opacity:.6g}"', width, height)


def _wrapped(content: bytes, media_type: str, image: str, width: float, height: float) -> bytes:
    start = (
        f'<svg xmlns="{_NAMESPACE}" width="{width:.6g}" height="{height:.6g}">{image} href="data:{media_type};base64,'
    )
    return start.encode() + base64.b64encode(content) + b'"/></svg>'


def check_svg(markup: bytes) -> None:
    """Refuse what is not well-formed SVG: inside a data: URI it would vanish without a word. Raises TemplateError."""
    roots: list[str] = []

    def see(name: str, _: Any) -> None:
        if not roots:
            roots.append(name)

    def refuse(*_: Any) -> None:
        raise TemplateError("is an SVG that declares entities; leave its DOCTYPE away")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = see
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(markup, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise TemplateError(f"is not a well-formed SVG: {where}: {expat.ErrorString(error.code)}") from error
    if roots != [f"{_NAMESPACE} svg"]:
        raise TemplateError(f'is not an SVG: its root must be svg with xmlns="{_NAMESPACE}"')


def draw_modules(rows: Sequence[Sequence[int]], layer: Mapping[str, Any], height: float) -> bytes:
    """The black modules of a code as one path, so that no seams show between them.

    A code of one row fills the box; a square one keeps its shape. `layer` gives width, color, background, opacity.
    """
    columns, lines = len(rows[0]), len(rows)
    ratio = "none" if lines == 1 else "xMidYMid meet"
    path = "".join(
        f"M{start} {row}h{length}v1h-{length}z"
        for row, modules in enumerate(rows)
        for start, length in _dark_runs(modules)
    )
    background = layer["background"]
    ground = f'<rect width="{columns}" height="{lines}" {_fill(background)}/>' if background else ""
    return (
        f'<svg xmlns="{_NAMESPACE}" width="{layer["width"]:.6g}" height="{height:.6g}" '
        f'viewBox="0 0 {columns} {lines}" preserveAspectRatio="{ratio}">'
        f'<g opacity="{layer["opacity"]:.6g}">{ground}<path d="{path}" {_fill(layer["color"])}/></g></svg>'
    ).encode()


def _dark_runs(modules: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(start, length) of each run of dark modules."""
    place = 0
    for dark, run in itertools.groupby(modules):
        length = len(list(run))
        if dark:
            yield place, length
        place += length


def _fill(color: str) -> str:
    red, green, blue, alpha = read_color(color)
    return f'fill="#{red:02x}{green:02x}{blue:02x}" fill-opacity="{alpha / 255:.6g}"'
