"""Images by address, through the whole application: fetched by the worker, refused where they must be."""

import io
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from PIL import Image

from tests.api.uploading import upload
from tests.conftest import wait_until
from tests.docx.word_files import word_file

LOCAL = {"OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8", "OUTBOUND_ALLOW_HTTP": "true"}


class Pictures(BaseHTTPRequestHandler):
    """Red or green squares; everything else is not found."""

    def do_GET(self):
        self.server.seen[self.path] += 1
        colour = {"/red.png": (255, 0, 0), "/green.png": (0, 255, 0)}.get(self.path)
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/green.png")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b"nothing here"
        if colour:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
            body = buffer.getvalue()
        self.send_response(200 if colour else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pictures():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    server.seen = Counter()
    server.base = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def worker(processes):
    """A worker that may call this machine."""
    return processes.worker(**LOCAL)


def card(*sources) -> dict:
    box = {"y": 0, "width": 10, "height": 10}
    layers = [{"type": "image", "x": 10 * place, **box, "src": src} for place, src in enumerate(sources)]
    return {"width": 10 * len(sources), "height": 10, "layers": layers}


def template(api, document) -> str:
    return api.template(document, engine="canvas")


def finished(api, template_id, **more) -> dict:
    answer = api.post("/api/v1/renders", {"template_id": template_id, **more})
    assert answer.status_code == 202, answer.content
    address = f"/api/v1/renders/{answer.json()['id']}"
    return wait_until(lambda: (found := api.get(address).json())["status"] in {"completed", "failed"} and found, 60)


def picture(api, render) -> Image.Image:
    content = b"".join(api.get(f"/renders/{render['id']}.{render['format']}").streaming_content)
    return Image.open(io.BytesIO(content)).convert("RGB")


def test_addresses_are_fetched_once_and_drawn(api, worker, pictures):
    made = template(api, card(f"{pictures.base}/red.png", f"{pictures.base}/moved.png", f"{pictures.base}/red.png"))
    for _ in range(2):
        render = finished(api, made)
        assert render["status"] == "completed", render["error"]
        drawn = picture(api, render)
        assert [drawn.getpixel((x, 5)) for x in (5, 15, 25)] == [(255, 0, 0), (0, 255, 0), (255, 0, 0)]
    assert pictures.seen == {"/red.png": 1, "/moved.png": 1, "/green.png": 1}


def test_teams_do_not_share_what_was_fetched(api, other_api, worker, pictures):
    for each in (api, other_api):
        assert finished(each, template(each, card(f"{pictures.base}/red.png")))["status"] == "completed"
    assert pictures.seen == {"/red.png": 2}


def test_what_cannot_be_fetched_fails_the_render_and_names_the_layer(api, worker, pictures):
    before = api.credits()
    made = template(api, card(f"{pictures.base}/red.png", f"{pictures.base}/gone.png"))
    render = finished(api, made)
    assert render["status"] == "failed"
    assert render["error"] == "layer 2 (image): src could not be fetched: the server answered 404"
    assert api.credits() == before


def test_word_documents_show_images_by_address(api, worker, pictures):
    answer = upload(api, word_file("before", "{{ photo|image(20) }}", "after"))
    assert answer.status_code == 201, answer.content
    data = {"photo": f"{pictures.base}/green.png"}
    render = finished(api, answer.json()["id"], data=data, formats=["docx"])
    assert render["status"] == "completed", render["error"]
    assert pictures.seen == {"/green.png": 1}


def test_the_own_network_is_not_reached_unless_the_operator_allows_it(api, server, pictures):
    before = api.credits()
    port = pictures.server_port
    for address in (f"https://127.0.0.1:{port}/red.png", "https://169.254.169.254/latest", "https://[::1]/red.png"):
        status, body = api.render(template(api, card(address)))
        assert status == 422
        assert body["error"].startswith("layer 1 (image): src could not be fetched: "), body
    assert pictures.seen == {}
    assert api.credits() == before
    assert requests.get(f"{pictures.base}/red.png", timeout=5).status_code == 200  # the control: it can be reached
