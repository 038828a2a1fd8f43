"""Which fields a document asks for, and what the caller's data does with it."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from templates_app.canvas_fields import extract_canvas_fields
from templates_app.starters import load_starters
from workers.engines.canvas.values import fill_layer, fill_text, is_visible, read_values


def fields_of(*layers):
    return extract_canvas_fields({"layers": list(layers)})


def test_fields_come_in_order_each_once_with_the_first_example():
    assert fields_of(
        {"type": "text", "text": "Hello {{name}} of {{town|Tarnholm}}, {{ name |Ada}}!"},
        {"type": "text", "field": "headline", "text": "Maps of {{town|Elsewhere}}"},
        {"type": "image", "field": "photo", "src": "alps.jpg"},
        {"type": "qr", "value": "{{url|https://example.com}}"},
        {"type": "rect", "visible": {"field": "vip"}},
    ) == [
        ("name", "Ada"),
        ("town", "Tarnholm"),
        ("headline", "Maps of Elsewhere"),
        ("photo", "alps.jpg"),
        ("url", "https://example.com"),
        ("vip", ""),
    ]


def test_data_uri_is_no_example():
    assert fields_of({"type": "image", "field": "photo", "src": "data:image/png;base64,AAAA"}) == [("photo", "")]


def test_fields_of_the_starters():
    keys = {
        starter.slug: [key for key, _ in extract_canvas_fields_of(starter)]
        for starter in load_starters(engines=["canvas"])
    }
    assert keys == {
        "badge": ["issuer", "title", "presented", "recipient", "reason", "year", "number"],
        "social-card": ["photo", "publication", "kicker", "headline", "summary", "author", "date", "tag"],
    }


def extract_canvas_fields_of(starter):
    return extract_canvas_fields(json.loads(starter.source))


@given(st.recursive(st.none() | st.text() | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_extraction_never_raises(document):
    assert isinstance(extract_canvas_fields({"layers": [document, {"type": document, "text": document}]}), list)
    assert isinstance(extract_canvas_fields(document), list)


@pytest.mark.timeout(60)  # with a careless expression it would be minutes
def test_extraction_takes_no_time_on_a_hostile_text():
    text = "{{" + " " * 100_000 + "{{a|" * 100_000
    assert fields_of({"type": "text", "text": text}) == []


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{name}}", "Ada"),
        ("{{ name | nobody }}", "Ada"),
        ("{{town}}", ""),
        ("{{town|Tarnholm}}", "Tarnholm"),
        ("{{town| a, b }}", " a, b "),
        ("{{none|x}}", ""),
        ("{{price}} {{count}} {{yes}}", "1.50 3 true"),
        ("{{list}}", '[1,{"a":null}]'),
        ("{{braces}}", "{{name}}"),
        ("{name} {{}} {{ }} {{na\nme}} {{{name}}}", "{name} {{}} {{ }} {{na\nme}} {Ada}"),
    ],
)
def test_placeholders_are_filled(text, filled):
    values = read_values(
        b'{"name":"Ada","none":null,"price":1.50,"count":3,"yes":true,"list":[1,{"a":null}],"braces":"{{name}}"}'
    )
    assert fill_text(text, values) == filled


def test_value_of_a_field_is_not_a_template():
    layer = {"type": "text", "field": "a", "text": "example"}
    assert fill_layer(layer, {"a": "{{b}}", "b": "secret"})["text"] == "{{b}}"


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        (True, True),
        (False, False),
        ({"field": "vip", "not": False}, True),
        ({"field": "vip", "not": True}, False),
        ({"field": "nothing", "not": False}, False),
        ({"field": "empty", "not": False}, False),
        ({"field": "zero", "not": False}, False),
        ({"field": "kind", "equals": "gold", "not": False}, True),
        ({"field": "kind", "equals": "tin", "not": True}, True),
        ({"field": "rate", "equals": 0.1, "not": False}, True),
        ({"field": "zero", "equals": False, "not": False}, False),
        ({"field": "nothing", "equals": None, "not": False}, True),
    ],
)
def test_layer_is_shown_when_its_condition_holds(condition, shown):
    values = read_values(b'{"vip":true,"empty":"","zero":0,"kind":"gold","rate":0.1}')
    assert is_visible(condition, values) is shown


def test_hidden_layer_is_not_drawn_and_may_be_broken(draw_layers):
    layer = {
        "type": "image",
        "x": 0,
        "y": 0,
        "width": 100,
        "height": 100,
        "src": "gone.png",
        "visible": {"field": "a"},
    }
    drawn = Image.open(io.BytesIO(draw_layers(layer).content)).convert("RGB")
    assert drawn.getextrema() == ((255, 255),) * 3


def test_null_empties_an_image(draw_layers):
    layer = {"type": "image", "x": 0, "y": 0, "width": 100, "height": 100, "src": "gone.png", "field": "photo"}
    assert draw_layers(layer, data={"photo": None}).pages == 1
