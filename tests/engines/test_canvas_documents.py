"""What a document may hold, and what is said when it holds something else."""
# ruff: noqa: E501 - one case of a table in one line

import io
import json
from pathlib import Path

import jsonschema
import pytest
from gallery import FILES, GALLERY, document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workers.engines.canvas.schema import SCHEMA, check_document
from workers.errors import LimitExceededError, TemplateError

SHEET = {"width": 100, "height": 100}
TEXT = {"type": "text", "x": 0, "y": 0, "width": 50, "text": "a", "name": "head"}
RECT = {"type": "rect", "x": 0, "y": 0, "width": 50, "height": 50}
GRADIENT = {"type": "linear", "stops": [{"color": "#fff", "at": 0}, {"color": "#000", "at": 1}]}


def layers(*found):
    return {**SHEET, "layers": list(found)}


def test_the_published_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", GALLERY)
def test_gallery_follows_the_published_schema(name):
    jsonschema.validate(document(name), SCHEMA)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "the document must be an object with width, height and layers"),
        ({}, "width is missing"),
        ({**SHEET}, "layers is missing"),
        ({**SHEET, "width": 1.5, "layers": []}, "width must be a whole number from 1 to 8000"),
        ({**SHEET, "width": 0, "layers": []}, "width must be a whole number from 1 to 8000"),
        ({**SHEET, "layers": {}}, "layers must be a list of 0 to 500"),
        ({**SHEET, "layers": [RECT] * 501}, "layers must be a list of 0 to 500, not of 501"),
        ({**SHEET, "layers": [], "backgroud": 1}, 'the document has a field "backgroud" that is not known; did you mean background?'),
        ({**SHEET, "layers": [], "background": "red"}, "background must be a colour (#rgb, #rgba, #rrggbb or #rrggbbaa)"),
        (layers(3), "layer 1: must be a layer"),
        (layers(RECT, {}), "layer 2: type must be one of text, image, rect, ellipse, line, svg, qr, barcode"),
        (layers({"type": ["text"]}), "layer 1: type must be one of text, image"),
        (layers({**TEXT, "colour": "#000"}), 'layer 1 (text "head"): has a field "colour" that is not known; did you mean color?'),
        (layers({**TEXT, "color": "#12345"}), 'layer 1 (text "head"): color must be a colour'),
        (layers({**TEXT, "font_size": "12"}), 'layer 1 (text "head"): font_size must be a number from 1 to 2000'),
        (layers({**TEXT, "font_size": True}), 'layer 1 (text "head"): font_size must be a number from 1 to 2000'),
        (layers({**TEXT, "font_weight": 950}), 'layer 1 (text "head"): font_weight must be a whole number from 100 to 900'),
        (layers({**TEXT, "fit": "squeeze"}), 'layer 1 (text "head"): fit must be one of wrap, shrink, ellipsis, clip'),
        (layers({**TEXT, "visible": "yes"}), 'layer 1 (text "head"): visible must be true, false or a condition'),
        (layers({**TEXT, "visible": {"field": "a", "equals": []}}), "visible.equals must be a text, a number, true or false or null"),
        (layers({**TEXT, "text": "a" * 10_001}), "text must be a text of at most 10,000 characters, not of 10001"),
        (layers({**TEXT, "text": "\ud800"}), "text holds half of a surrogate pair, which is not text"),
        (layers({**TEXT, "shadow": {"blur": 201}}), "shadow.blur must be a number from 0 to 200"),
        (layers({**RECT, "width": 0}), "layer 1 (rect): width must be a number above 0 and up to 20000"),
        (layers({**RECT, "radius": [1, 2]}), "layer 1 (rect): radius must be a list of 4, not of 2"),
        (layers({**RECT, "fill": {**GRADIENT, "stops": [{"color": "#fff", "at": 2}] * 2}}), "layer 1 (rect): fill.stops[0].at must be a number from 0 to 1"),
        (layers({**RECT, "fill": {**GRADIENT, "type": "conic"}}), "layer 1 (rect): fill.type must be one of linear, radial"),
        (layers({**RECT, "stroke": {"color": "#000"}}), "layer 1 (rect): stroke.width is missing"),
        (layers({"type": "line", "x": 0, "y": 0, "x2": 9}), "layer 1 (line): y2 is missing"),
        (layers({"type": "image", **SHEET, "x": 0, "y": 0, "focus": {"x": 0}}), "layer 1 (image): focus.y is missing"),
        (layers({**RECT, "name": "a\nb\ud800", "x": None}), 'layer 1 (rect "a?b?"): x must be a number'),
    ],
)  # fmt: skip
def test_message_names_the_layer_and_the_field(wrong, message):
    with pytest.raises(TemplateError) as refused:
        check_document(wrong)
    assert message in refused.value.message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 5000])
def test_odd_numbers_are_refused(draw, number):
    with pytest.raises(TemplateError):
        draw('{"width": 10, "height": 10, "layers": [], "x": 1}'.replace("1}", f"{number}}}"))


def test_message_of_broken_json_has_a_line(draw):
    with pytest.raises(TemplateError, match="line 2, column 12: the document is not valid JSON") as refused:
        draw('{"width": 1,\n "height": }')
    assert (refused.value.line, refused.value.column) == (2, 12)


def test_deep_nesting_is_refused(draw):
    with pytest.raises(TemplateError):
        draw("[" * 100_000)


@pytest.mark.parametrize(
    ("layer", "data", "message"),
    [
        ({**TEXT, "field": "t"}, {"t": "a" * 10_001}, "text is longer than 10,000 characters with the data in it"),
        ({**RECT, "type": "image", "src": "gopher://example.com/a.png"}, {}, "layer 1 (image): src is an address of a kind that is not fetched"),
        ({**RECT, "type": "image", "src": "photo.png"}, {}, 'layer 1 (image): src names the file "photo.png", which the template does not have'),
        ({**RECT, "type": "image", "src": "/etc/passwd"}, {}, "is not a plain relative path"),
        ({**RECT, "type": "image", "src": "../../secret.png"}, {}, "is not a plain relative path"),
        ({**RECT, "type": "image", "src": "data:image/png;base64,@@@"}, {}, "src is a data: URI that is not valid base64"),
        ({**RECT, "type": "image", "src": "data:image/png,hello"}, {}, "src is not a PNG, JPEG, WebP or GIF"),
        ({**RECT, "type": "svg", "svg": "<svg"}, {}, "layer 1 (svg): the drawing is not a well-formed SVG: line 1"),
        ({**RECT, "type": "svg", "svg": "<html/>"}, {}, "the drawing is not an SVG"),
        ({**RECT, "type": "svg", "svg": '<!DOCTYPE a [<!ENTITY b "c">]><svg xmlns="http://www.w3.org/2000/svg">&b;</svg>'}, {}, "declares entities"),
        ({**RECT, "type": "qr", "value": "{{v}}"}, {}, "layer 1 (qr): value is empty"),
        ({**RECT, "type": "qr", "value": "a" * 3000}, {}, "value is too long for a QR code"),
        ({**RECT, "type": "barcode", "value": "ü"}, {}, "layer 1 (barcode): value holds a character that Code 128 lacks"),
        ({**RECT, "type": "barcode", "value": "12", "symbology": "ean13"}, {}, "value must be 12 or 13 digits for ean13"),
        ({**RECT, "type": "barcode", "value": "4006381333930", "symbology": "ean13"}, {}, "it must end in 1"),
    ],
)  # fmt: skip
def test_message_names_what_cannot_be_drawn(draw_layers, layer, data, message):
    with pytest.raises(TemplateError) as refused:
        draw_layers(layer, data=data)
    assert message in refused.value.message
    assert refused.value.message.startswith("layer 1 (")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
EDGE_NUMBERS = st.sampled_from([0, 0.001, 1, 7.5, 50, 400, -30, 1e-9, 20_000, -20_000, 1e9])


def _mostly(good):
    """A value that nearly always fits, so that documents get past the check."""
    return st.integers(0, 60).flatmap(lambda chance: ANY_JSON if chance == 60 else good)  # the simplest is a good one


COLORS = st.sampled_from(["#000", "#12345678", "#abc8", "#ffffff"])
PAINTS = st.one_of(COLORS, st.none(), st.just(GRADIENT), st.just({**GRADIENT, "type": "radial", "radius": 0.001}))
NUMBERS = st.one_of(st.floats(-30, 130), EDGE_NUMBERS)
SIZES = st.floats(0.01, 200)
WORDS = st.one_of(
    st.text(max_size=40), st.sampled_from(["{{name|x}}", "{{a|b", "a\nb\r\n\tc", "שלום a", "\u202e!", "é" * 50])
)
OPTIONAL = {
    "rotation": NUMBERS, "opacity": st.floats(0, 1), "name": WORDS, "visible": st.just({"field": "name"}),
    "shadow": st.fixed_dictionaries({}, optional={"blur": st.floats(0, 60), "x": NUMBERS, "y": NUMBERS, "color": COLORS}),
}  # fmt: skip
STROKES = st.fixed_dictionaries(
    {"color": COLORS, "width": st.floats(0, 40)},
    optional={"dash": st.lists(st.floats(0.01, 20), min_size=1, max_size=3), "cap": st.just("round")},
)


def _layer(kind, required, optional):
    fields = {key: _mostly(value) for key, value in {"x": NUMBERS, "y": NUMBERS, **required}.items()}
    more = {key: _mostly(value) for key, value in {**OPTIONAL, **optional}.items()}
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional=more)


BOX = {"width": SIZES, "height": SIZES}
RADII = st.one_of(st.floats(0, 300), st.lists(st.floats(0, 300), min_size=4, max_size=4))
LAYERS = st.one_of(
    _layer("text", {"width": SIZES, "text": WORDS}, {
        "height": SIZES, "fit": st.sampled_from(["wrap", "shrink", "ellipsis", "clip"]), "font_size": st.floats(1, 90),
        "max_lines": st.integers(1, 3), "line_height": st.floats(0.5, 5), "letter_spacing": st.floats(-100, 100),
        "color": PAINTS, "stroke": STROKES, "align": st.sampled_from(["justify", "end", "center"]),
        "font_family": st.sampled_from(["Lato", "x", ["y", "Poppins"]]), "underline": st.booleans(),
    }),
    _layer("rect", BOX, {"fill": PAINTS, "stroke": STROKES, "radius": RADII}),
    _layer("ellipse", BOX, {"fill": PAINTS, "stroke": STROKES}),
    _layer("line", {"x2": NUMBERS, "y2": NUMBERS}, {"stroke": STROKES}),
    _layer("image", BOX, {"src": st.just("chart.png"), "blur": st.floats(0, 200), "radius": RADII,
                          "fit": st.sampled_from(["cover", "contain", "stretch"])}),
    _layer("svg", BOX, {"svg": st.just("<svg xmlns='http://www.w3.org/2000/svg'/>"), "radius": RADII}),
    _layer("qr", {**BOX, "value": WORDS}, {"margin": st.integers(0, 20)}),
    _layer("barcode", {**BOX, "value": WORDS}, {"show_text": st.booleans()}),
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {"width": st.integers(1, 120), "height": st.integers(1, 120), "layers": st.lists(LAYERS, max_size=4)},
    optional={"background": PAINTS, "title": WORDS},
)
FEW = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@pytest.mark.timeout(400)
@FEW
@given(
    found=st.one_of(DOCUMENTS, DOCUMENTS, DOCUMENTS, ANY_JSON),
    format_name=st.sampled_from(["png", "png", "pdf", "svg"]),
)
def test_any_document_gives_a_picture_or_a_sentence(canvas, draw, found, format_name):
    try:
        drawn = draw(found, {"name": "Ada"}, format=format_name, files=FILES)
    except (TemplateError, LimitExceededError) as error:
        assert error.message  # noqa: PT017 - both ends are good ones
        return
    if format_name == "png":
        with Image.open(io.BytesIO(drawn.content)) as image:
            assert image.size == (found["width"], found["height"])


@settings(max_examples=300)
@given(found=st.one_of(DOCUMENTS, ANY_JSON))
def test_our_check_and_the_published_schema_agree(found):
    found = json.loads(json.dumps(found))
    by_schema = jsonschema.Draft202012Validator(SCHEMA).is_valid(found)
    try:
        check_document(found)
    except TemplateError as error:
        assert not by_schema or "surrogate" in error.message  # noqa: PT017
    else:
        assert by_schema


def test_documentation_names_every_field():
    documentation = (Path(__file__).parents[2] / "docs" / "canvas.md").read_text(encoding="utf-8")
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    names = {name for part in parts for name in part.get("properties", {})}
    assert [
        name for name in sorted(names) if f"`{name}`" not in documentation and f'"{name}"' not in documentation
    ] == []
