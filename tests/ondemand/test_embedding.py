"""A page of another origin shows the picture and may read it: by the headers, and in a browser where there is one."""

import html
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.ondemand.conftest import BANNER

PAGE = """<!doctype html><title>A shop</title>
<h1>Another origin</h1>
<img id="plain" src="{url}">
<img id="cors" crossorigin="anonymous" src="{url}">
<p id="result">nothing</p>
<script>
addEventListener("load", async () => {{
  const said = [plain.naturalWidth, plain.naturalHeight, cors.naturalWidth];
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").drawImage(cors, 0, 0);
  said.push(...canvas.getContext("2d").getImageData(2, 2, 1, 1).data);
  const answer = await fetch("{url}", {{headers: {{"X-Shop": "asks first"}}}});
  said.push(answer.status, answer.headers.get("ETag").length, (await answer.arrayBuffer()).byteLength);
  result.textContent = said.join(" ");
}});
</script>
"""
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page():
    """A server on another port, which is another origin, that serves this page only."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.server.page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_page_of_another_origin_shows_it(server, signer, page, tmp_path):
    signed = signer.finished(signer.template(BANNER, engine="canvas"), {"name": "Ada"})
    url = f"{server}{signed.path}"
    origin = f"http://127.0.0.1:{page.server_port}"
    answer = requests.get(url, headers={"Origin": origin}, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"  # scripts may read it
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"  # and isolated pages show it
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert "X-Frame-Options" not in answer.headers
    assert "Content-Security-Policy" not in answer.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-shop"}
    allowed = requests.options(url, headers=asked, timeout=60)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Headers"]) == (200, "*")
    page.page = PAGE.format(url=html.escape(url, quote=True).replace("&amp;", "&"))
    if BROWSER:
        size = len(answer.content)
        assert _shown(origin, tmp_path) == f"120 60 120 11 110 79 255 200 {len(answer.headers['ETag'])} {size}"


def _shown(origin: str, folder) -> str:
    """What the page found out in a browser that knows no other address than loopback."""
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder}/profile",
        "--virtual-time-budget=20000",
    ]
    run = subprocess.run(
        [BROWSER, *flags, "--dump-dom", origin], capture_output=True, text=True, timeout=100, check=True
    )
    return re.search(r'<p id="result">(.*?)</p>', run.stdout)[1]
