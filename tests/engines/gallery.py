"""Small Canvas documents that show every type of layer and every way to fit a text; `golden.py` draws them."""

import io
from typing import Any

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 240, 160
LINEAR = {"type": "linear", "angle": 90, "stops": [{"color": "#f97316", "at": 0}, {"color": "#7c3aed", "at": 1}]}
RADIAL = {
    "type": "radial",
    "center": {"x": 0.3, "y": 0.3},
    "radius": 0.8,
    "stops": [{"color": "#fef9c3", "at": 0}, {"color": "#0f766e", "at": 0.6}, {"color": "#134e4a00", "at": 1}],
}
STROKE = {"color": "#1e293b", "width": 4}
SHADOW = {"x": 4, "y": 6, "blur": 8, "color": "#0f172a99"}
PANGRAM = "Zwölf große Boxkämpfer jagen Viktor quer über den Sylter Deich."
TRIANGLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 10"><path d="M10 0L20 10H0z" fill="#0e7490"/></svg>'
)


def _chart() -> bytes:
    """A picture in which every corner is another colour, so that turning and cropping show."""
    image = Image.new("RGB", (120, 80), "#ffffff")
    draw = ImageDraw.Draw(image)
    for place, color in (((0, 0), "#dc2626"), ((60, 0), "#16a34a"), ((0, 40), "#2563eb"), ((60, 40), "#facc15")):
        draw.rectangle((*place, place[0] + 59, place[1] + 39), fill=color)
    draw.ellipse((40, 20, 80, 60), fill="#ffffff", outline="#111827", width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


FILES = {"chart.png": _chart()}
DATA = {"name": "Ada", "vip": True, "points": 1.50, "none": None}


def _text(text: str, x: float = 8, y: float = 8, width: float = 224, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, "x": x, "y": y, "width": width, **more}


def _box(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "width": width, "height": height, **more}


def _image(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    return {"type": "image", "src": "chart.png", **_box(x, y, width, height, **more)}


def _frame(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    return {"type": "rect", **_box(x, y, width, height), "fill": None, "stroke": {"color": "#cbd5e1", "width": 1}}


def _fit(fit: str, **more: Any) -> list[dict[str, Any]]:
    """The same text in a box of three lines, of one, and one word that is too long."""
    return [
        _frame(8, 8, 224, 62),
        _text(PANGRAM, height=62, font_size=24, fit=fit, **more),
        _frame(8, 80, 224, 26),
        _text(PANGRAM, y=80, height=26, font_size=18, fit=fit, max_lines=1, **more),
        _frame(8, 116, 100, 34),
        _text("Rindfleischetikettierung", y=116, width=100, height=34, font_size=20, fit=fit, **more),
    ]


GALLERY: dict[str, list[dict[str, Any]]] = {
    "rect": [
        {"type": "rect", **_box(10, 10, 100, 60), "fill": "#0ea5e9"},
        {"type": "rect", **_box(130, 10, 100, 60), "fill": LINEAR, "radius": 16, "stroke": STROKE},
        {"type": "rect", **_box(10, 90, 100, 60), "fill": RADIAL, "radius": [0, 30, 0, 30]},
        {"type": "rect", **_box(130, 90, 100, 60), "fill": None, "stroke": {**STROKE, "dash": [10, 6]}},
    ],
    "ellipse": [
        {"type": "ellipse", **_box(10, 10, 100, 140), "fill": RADIAL, "stroke": STROKE},
        {"type": "ellipse", **_box(130, 10, 100, 100), "fill": LINEAR, "shadow": SHADOW},
        {"type": "ellipse", **_box(150, 120, 60, 30), "fill": "#dc262680"},
    ],
    "line": [
        {"type": "line", "x": 10, "y": 10, "x2": 230, "y2": 60, "stroke": {**STROKE, "cap": "round", "width": 10}},
        {"type": "line", "x": 230, "y": 70, "x2": 10, "y2": 110, "stroke": {**STROKE, "dash": [12, 4]},
         "shadow": SHADOW},
        {"type": "line", "x": 10, "y": 130, "x2": 230, "y2": 130},
        {"type": "line", "x": 120, "y": 120, "x2": 120, "y2": 150, "stroke": {**STROKE, "cap": "square"}},
    ],
    "image-fit": [
        *(_frame(8 + place * 78, 8, 68, 68) for place in range(3)),
        *(_image(8 + place * 78, 8, 68, 68, fit=fit) for place, fit in enumerate(("cover", "contain", "stretch"))),
        _image(8, 86, 40, 66, focus={"x": 0, "y": 0}),
        _image(58, 86, 40, 66, focus={"x": 1, "y": 0}),
        _frame(110, 86, 120, 66),
        _image(110, 86, 120, 66, fit="contain", focus={"x": 1, "y": 0.5}),
    ],
    "image-effects": [
        _image(10, 10, 100, 64, radius=20, stroke={"color": "#111827", "width": 3}, shadow=SHADOW),
        _image(130, 10, 100, 64, blur=8),
        _image(10, 90, 100, 60, grayscale=True),
        _image(130, 90, 100, 60, opacity=0.4, rotation=8),
    ],
    "svg": [
        *(_frame(8 + place * 78, 8, 68, 68) for place in range(3)),
        *(
            {"type": "svg", "svg": TRIANGLE, "fit": fit, **_box(8 + place * 78, 8, 68, 68)}
            for place, fit in enumerate(("cover", "contain", "stretch"))
        ),
        {"type": "svg", "svg": TRIANGLE, **_box(10, 90, 100, 60), "opacity": 0.5, "rotation": 180},
        {"type": "svg", "svg": TRIANGLE, **_box(130, 90, 100, 60), "shadow": SHADOW},
    ],
    "qr": [
        {"type": "qr", "value": "https://automette.example/{{name|}}", **_box(10, 20, 100, 120)},
        {"type": "qr", "value": "H", "error_correction": "H", "margin": 1, "color": "#7c3aed", "background": None,
         **_box(130, 30, 100, 100), "rotation": 10},
    ],
    "barcode": [
        {"type": "barcode", "value": "AUTO-{{points|}}", "show_text": True, **_box(8, 8, 224, 44)},
        {"type": "barcode", "value": "4006381333931", "symbology": "ean13", "show_text": True,
         **_box(8, 60, 108, 44)},
        {"type": "barcode", "value": "9638507", "symbology": "ean8", **_box(124, 60, 108, 44)},
        {"type": "barcode", "value": "03600029145", "symbology": "upca", "color": "#1e3a8a",
         **_box(8, 112, 224, 40)},
    ],
    "text-wrap": [
        _frame(8, 8, 140, 46),
        _text(f"{PANGRAM} Runs past the end of its box.", width=140, height=46, font_size=16),
        _text("Lines\nas they\n\ncome", 160, 8, 72, font_size=16),
        _frame(8, 128, 100, 26),
        _text("Rindfleischetikettierung", y=128, width=100, height=26, font_size=18),
        _frame(190, 118, 44, 36),
        _text("low and\ntoo tall\nfor it", 190, 118, 44, height=36, font_size=12, valign="bottom"),
    ],
    "text-shrink": _fit("shrink"),
    "text-ellipsis": _fit("ellipsis"),
    "text-clip": _fit("clip"),
    "text-align": [
        *(
            _text("Two lines\nof text", 4 + place * 78, 4, 76, align=align, font_size=14)
            for place, align in enumerate(("left", "center", "right"))
        ),
        _text(PANGRAM, 4, 42, 232, align="justify", font_size=15),
        *(_frame(4 + place * 78, 90, 76, 64) for place in range(3)),
        *(
            _text(valign, 4 + place * 78, 90, 76, height=64, valign=valign, align="end")
            for place, valign in enumerate(("top", "middle", "bottom"))
        ),
    ],
    "text-style": [
        _text("Light", 8, 4, 100, font_family="Poppins", font_weight=300, font_size=22),
        _text("Black", 120, 4, 110, font_family="Poppins", font_weight=900, font_size=22),
        _text("Italic", 8, 36, 100, font_family="EB Garamond", italic=True, font_size=24),
        _text("Under", 90, 36, 80, underline=True, font_size=20),
        _text("Strike", 165, 36, 80, strike=True, font_size=20),
        _text("spaced", 8, 68, 110, letter_spacing=6, case="upper", font_size=15),
        _text("tight lines\nof text", 130, 66, 100, line_height=0.9, font_size=18),
        _text("loose\nlines", 8, 92, 60, line_height=2, font_size=16),
        _text("Mono 0O1l", 110, 120, 120, font_family="DejaVu Sans Mono", font_size=16),
    ],
    "text-paint": [
        _text("Gradient", font_size=44, font_weight=800, font_family="Poppins",
              color={**LINEAR, "angle": 0}),
        _text("Shadow", y=60, font_size=36, font_weight=700, shadow=SHADOW),
        _text("Stroke", y=108, width=120, font_size=36, font_weight=700, color="#facc15",
              stroke={"color": "#dc2626", "width": 1.5}),
        _text("Faint", y=108, x=140, width=100, font_size=36, opacity=0.3),
    ],
    "text-scripts": [
        _text("שלום Automette 2026 עולם", y=4, font_size=18),
        _text("مرحبا بالعالم (Typst)", y=30, font_size=15),
        # by name: which of the installed CJK fonts is fallen back to depends on the order of their folder
        _text("你好 文字", y=58, width=90, font_size=18, font_family="Noto Sans SC"),
        _text("안녕하세요", y=58, x=100, width=140, font_size=18, font_family="Noto Sans KR"),
        _text("e\u0301 n\u0303 o\u0323\u0302 Z\u0351\u036b\u0343", y=86, font_size=20),
        _text("Ελληνικά Русский", y=114, font_size=18),
        _text("☺ ★ →", y=136, font_size=16),
    ],
    "turned": [
        {"type": "rect", **_box(40, 30, 80, 40), "fill": "#0d9488", "rotation": 30, "shadow": SHADOW},
        _text("Turned", 130, 40, 90, font_size=24, rotation=-20, align="center"),
        {"type": "barcode", "value": "TURN", "show_text": True, **_box(60, 90, 120, 50), "rotation": 12,
         "opacity": 0.6},
    ],
    "values": [
        _text("Hello {{name|nobody}}, {{missing|an example}}", y=6, font_size=18),
        _text("the example", y=34, field="missing", font_size=18),
        _text("the example", y=62, field="points", font_size=18),
        _text("[{{none|not this}}] {{ not|closed }", y=90, font_size=18),
        _text("shown", y=118, width=100, visible={"field": "vip"}, color="#16a34a"),
        _text("WRONG", y=118, width=100, x=120, visible={"field": "vip", "equals": False}, color="#dc2626"),
        _text("also shown", y=138, visible={"field": "nobody", "not": True}, color="#16a34a"),
    ],
}  # fmt: skip
BACKGROUNDS = {"rect": "#f8fafc", "image-effects": {**LINEAR, "angle": 45}, "ellipse": None}


def document(name: str) -> dict[str, Any]:
    """The Canvas document of this name."""
    background = BACKGROUNDS.get(name, "#ffffff")
    return {"width": WIDTH, "height": HEIGHT, "background": background, "layers": GALLERY[name]}
