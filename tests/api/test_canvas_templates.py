"""Canvas templates through the API: a JSON document in, a picture out."""

import io
import json

import pytest
import requests
from PIL import Image

pytestmark = pytest.mark.usefixtures("server")  # a worker tries documents out
CARD = {
    "width": 120,
    "height": 60,
    "background": "#ff0000",
    "layers": [{"type": "text", "text": "{{headline|Hello}}", "x": 5, "y": 5, "width": 110, "height": 30}],
}


def create(api, source):
    return api.post("/api/v1/templates", {"name": "Card", "engine": "canvas", "source": source})


@pytest.mark.parametrize("source", [CARD, json.dumps(CARD)], ids=["object", "text"])
def test_document_is_taken_as_object_and_as_text(api, source):
    answer = create(api, source)
    assert answer.status_code == 201
    body = answer.json()
    assert body["engine"] == "canvas"
    assert body["allowed_formats"] == ["png", "jpg", "webp", "pdf", "svg"]
    assert body["available_fields"] == [{"key": "headline", "type": "text", "example": "Hello"}]


def test_picture_has_the_size_of_the_document(server, api):
    status, body = api.render(create(api, CARD).json()["id"], data={"headline": "Good morning"})
    assert (status, body["format"]) == (200, "png")
    with Image.open(
        io.BytesIO(requests.get(server + "/renders/" + body["id"] + ".png", timeout=60).content)
    ) as image:
        assert (image.size, image.convert("RGB").getpixel((1, 59))) == ((120, 60), (255, 0, 0))


@pytest.mark.parametrize("format", ["jpg", "webp", "pdf", "svg"])
def test_other_formats_can_be_asked_for(server, api, format):
    status, body = api.render(create(api, CARD).json()["id"], format=format, options={"scale": 2})
    assert (status, body["format"]) == (200, format)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({**CARD, "layers": [{**CARD["layers"][0], "font_size": "big"}]}, ["layer 1", "font_size"]),
        ({**CARD, "width": -1}, ["width"]),
        ({}, ["width"]),
        ("not JSON", ["source: is not valid JSON"]),
        ("[1]", ["source: "]),
    ],
    ids=["layer", "width", "empty", "text", "array"],
)
def test_document_that_cannot_be_drawn_is_422_and_says_where(api, nothing_changes, source, words):
    with nothing_changes(api):
        answer = create(api, source)
    assert answer.status_code == 422
    assert [word for word in words if word not in answer.json()["error"]] == []


def test_typst_source_must_be_text(api, nothing_changes):
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", {"name": "A", "engine": "typst", "source": CARD})
    assert (answer.status_code, answer.json()) == (422, {"error": "source: Must be a string of Typst."})
