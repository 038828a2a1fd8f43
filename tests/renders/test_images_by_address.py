"""Images by address, through the whole application: fetched by the worker, refused where they must be."""

import io
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from PIL import Image

from tests.docx.word_files import word_file
from tests.hostile.application import Application, Caller, content_of, running

OWN_REDIS_DATABASE = 11
REDIS_DATABASE_OF_THE_STRICT_ONE = 13
LOCAL = {"OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8", "OUTBOUND_ALLOW_HTTP": "true", "REMOTE_IMAGE_SECONDS": "60"}


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


@pytest.fixture(scope="module")
def application(test_environment, tmp_path_factory) -> Iterator[Application]:
    """Its worker may call this machine."""
    with running(tmp_path_factory.mktemp("remote-images"), OWN_REDIS_DATABASE, **LOCAL) as found:
        yield found


@pytest.fixture
def caller(application) -> Caller:
    return application.caller()


def card(*sources) -> dict:
    """Pictures in a row; what they show comes with the data, since a template is compiled when it is created."""
    box = {"y": 0, "width": 10, "height": 10, "src": ""}
    layers = [{"type": "image", "x": 10 * place, **box, "field": f"p{place}"} for place in range(len(sources))]
    return {"width": 10 * len(sources), "height": 10, "layers": layers}


def shown(caller, template_id, *sources, **more) -> requests.Response:
    return caller.render(template_id, data={f"p{place}": source for place, source in enumerate(sources)}, **more)


def test_addresses_are_fetched_once_and_drawn(caller, pictures):
    sources = [f"{pictures.base}/{name}.png" for name in ("red", "moved", "red")]
    template = caller.template(card(*sources))
    for _ in range(2):
        drawn = Image.open(io.BytesIO(content_of(shown(caller, template, *sources)))).convert("RGB")
        assert [drawn.getpixel((x, 5)) for x in (5, 15, 25)] == [(255, 0, 0), (0, 255, 0), (255, 0, 0)]
    assert pictures.seen == {"/red.png": 1, "/moved.png": 1, "/green.png": 1}


def test_teams_do_not_share_what_was_fetched(application, pictures):
    for each in (application.caller(), application.caller()):
        assert content_of(shown(each, each.template(card("x")), f"{pictures.base}/red.png"))
    assert pictures.seen == {"/red.png": 2}


def test_what_cannot_be_fetched_fails_the_render_and_names_the_layer(caller, pictures):
    before = caller.credits()
    answer = shown(caller, caller.template(card("a", "b")), f"{pictures.base}/red.png", f"{pictures.base}/gone.png")
    assert answer.status_code == 422
    assert answer.json()["error"] == "layer 2 (image): src could not be fetched: the server answered 404"
    assert caller.credits() == before


def test_word_documents_show_images_by_address(caller, pictures):
    template = caller.word(word_file("before", "{{ photo|image(20) }}", "after"))
    answer = caller.render(template, data={"photo": f"{pictures.base}/green.png"}, formats=["docx"])
    assert answer.json()["status"] == "completed", answer.text
    assert pictures.seen == {"/green.png": 1}


def test_the_own_network_is_not_reached_unless_the_operator_allows_it(test_environment, tmp_path, pictures):
    port = pictures.server_port
    with running(tmp_path, REDIS_DATABASE_OF_THE_STRICT_ONE) as strict:
        caller = strict.caller()
        before = caller.credits()
        template = caller.template(card("a"))
        for address in (
            f"https://127.0.0.1:{port}/red.png",
            "https://169.254.169.254/latest",
            "https://[::1]/red.png",
        ):
            answer = shown(caller, template, address)
            assert answer.status_code == 422
            error = answer.json()["error"]
            assert error.startswith("layer 1 (image): src could not be fetched: "), error
        assert pictures.seen == {}
        assert caller.credits() == before
    assert requests.get(f"{pictures.base}/red.png", timeout=60).status_code == 200  # the control: it can be reached
