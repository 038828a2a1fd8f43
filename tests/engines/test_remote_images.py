"""Images that a document names by address: what a child asks for, and what it does with what was fetched."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from workers.engines.remote import MAX_REMOTE_FILES
from workers.errors import RemoteFilesNeededError, TemplateError
from workers.job import RenderJob

BOX = {"x": 0, "y": 0, "width": 10, "height": 10}
FIRST, SECOND = "https://example.com/a.png", "http://example.com/b.jpg?size=2"


def document(*layers) -> str:
    return json.dumps({"width": 10, "height": 10, "layers": list(layers)})


def image(src, **more) -> dict:
    return {"type": "image", **BOX, "src": src, **more}


@pytest.fixture
def red(tmp_path) -> Path:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (255, 0, 0)).save(buffer, "PNG")
    path = tmp_path / hashlib.sha256(buffer.getvalue()).hexdigest()
    path.write_bytes(buffer.getvalue())
    return path


def test_all_addresses_are_asked_for_at_once(canvas):
    source = document(image(FIRST), image("x", field="photo"), image(FIRST))
    with pytest.raises(RemoteFilesNeededError) as caught:
        canvas.render("team", RenderJob(source=source, data=json.dumps({"photo": SECOND}).encode(), format="png"))
    assert caught.value.urls == (FIRST, SECOND)


def test_hidden_layers_ask_for_nothing(canvas):
    source = document(image(FIRST, opacity=0), {"type": "rect", **BOX, "fill": "#00ff00"})
    assert canvas.render("team", RenderJob(source=source, format="png")).pages == 1


def test_what_was_fetched_is_drawn(canvas, red):
    drawn = canvas.render("team", RenderJob(source=document(image(FIRST)), format="png", remote={FIRST: red}))
    assert Image.open(io.BytesIO(drawn.content)).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_why_nothing_was_fetched_is_told_with_the_layer(canvas):
    job = RenderJob(source=document(image(FIRST)), format="png", remote={FIRST: "could not be fetched: not found"})
    with pytest.raises(TemplateError, match=r"^layer 1 \(image\): src could not be fetched: not found$"):
        canvas.render("team", job)


def test_addresses_are_limited(canvas):
    layers = [image(f"https://example.com/{number}.png") for number in range(MAX_REMOTE_FILES + 1)]
    with pytest.raises(TemplateError, match="may show 20 images by address"):
        canvas.render("team", RenderJob(source=document(*layers), format="png"))


def test_templates_cannot_reach_what_was_fetched_by_its_place(canvas, red):
    place = f".automette/{hashlib.sha256(FIRST.encode()).hexdigest()}"
    with pytest.raises(TemplateError, match="not a plain relative path"):
        canvas.render("team", RenderJob(source=document(image("a")), format="png", files={place: b"x"}))
