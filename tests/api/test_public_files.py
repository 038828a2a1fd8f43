"""`/renders/{id}.{ext}`: no key, for ever, in pieces if wanted."""

import re

import pytest
import requests

from automette.lib import store
from renders import statements

FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def made(server):
    """Files of one team that every test here only reads: format -> address."""
    return {}


@pytest.fixture
def files(server, made, new_api):
    if not made:
        api = new_api()
        template_id = api.template(name="Lettre à Zoë")
        for wanted in ("pdf", "png", "svg"):
            status, body = api.render(template_id, format=wanted, filename_pattern="{template}")
            assert status == 200, body
            made[wanted] = f"{server}/renders/{body['id']}.{wanted}"
    return made


@pytest.fixture
def fetch(files):
    def ask(wanted="pdf", method="GET", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, files[wanted], headers=headers, timeout=60)

    return ask


@pytest.mark.parametrize(
    ("wanted", "media_type"), [("pdf", "application/pdf"), ("png", "image/png"), ("svg", "image/svg+xml")]
)
def test_everybody_may_read_it_for_ever(fetch, wanted, media_type):
    answer = fetch(wanted)
    assert answer.status_code == 200
    told = {name: answer.headers.get(name) for name in ("Content-Type", "Cache-Control", "Accept-Ranges")}
    assert told == {"Content-Type": media_type, "Cache-Control": FOR_EVER, "Accept-Ranges": "bytes"}
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 0
    assert re.fullmatch(r'"[0-9a-f]{64}"', answer.headers["ETag"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-Frame-Options" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_pictures_and_pdf_are_shown_under_the_renders_name(fetch):
    for wanted in ("pdf", "png"):
        assert fetch(wanted).headers["Content-Disposition"] == (
            f"inline; filename=\"Lettre a Zoe.{wanted}\"; filename*=UTF-8''Lettre%20%C3%A0%20Zo%C3%AB.{wanted}"
        )


def test_svg_is_saved_and_sandboxed(fetch):
    headers = fetch("svg").headers
    assert headers["Content-Disposition"].startswith("attachment; ")
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'; ")


def test_head_tells_the_same_without_the_bytes(fetch):
    got, told = fetch(), fetch(method="HEAD")
    assert (told.status_code, told.content) == (200, b"")
    volatile = {"Date", "X-Request-Id"}
    assert {k: v for k, v in told.headers.items() if k not in volatile} == {
        k: v for k, v in got.headers.items() if k not in volatile
    }


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other", {}', "*"])
def test_known_etag_is_304_and_may_be_kept_for_ever(fetch, method, pattern):
    etag = fetch(method="HEAD").headers["ETag"]
    answer = fetch(method=method, If_None_Match=pattern.format(etag))
    assert (answer.status_code, answer.content) == (304, b"")
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (etag, FOR_EVER)


def test_other_etag_is_200(fetch):
    assert fetch(If_None_Match='"other"').status_code == 200


def test_failed_precondition_is_412_and_not_to_be_kept(fetch):
    answer = fetch(If_Match='"other"')
    assert (answer.status_code, "Cache-Control" in answer.headers) == (412, False)


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=5-7", 5, 8),
    ("bytes=5-", 5, None),
    ("bytes=-5", -5, None),
    ("bytes=0-", 0, None),
    ("bytes=10-99999999999", 10, None),
    ("bytes=-99999999999", 0, None),
]


@pytest.mark.parametrize(("wanted", "start", "end"), RANGES)
def test_range_is_206_with_exactly_those_bytes(fetch, wanted, start, end):
    whole = fetch()
    answer = fetch(Range=wanted)
    size, expected = len(whole.content), whole.content[start:end]
    first = start % size if start < 0 else start
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    assert answer.headers["Content-Length"] == str(len(expected))
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (whole.headers["ETag"], FOR_EVER)


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=99999999-99999999999", "bytes=-0"])
def test_range_beyond_the_end_is_416_with_the_size(fetch, wanted):
    answer = fetch(Range=wanted)
    size = fetch(method="HEAD").headers["Content-Length"]
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert "Cache-Control" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    ["bytes=0-1,4-5", "bytes=5-3", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1-2", "lines=0-1", "0-1", "bytes=--1"],
)
def test_several_or_broken_ranges_get_the_whole_file(fetch, wanted):
    answer = fetch(Range=wanted)
    assert (answer.status_code, answer.content) == (200, fetch().content)


def test_range_of_another_version_gets_the_whole_file(fetch):
    etag = fetch(method="HEAD").headers["ETag"]
    assert fetch(Range="bytes=0-1", If_Range='"other"').status_code == 200
    assert fetch(Range="bytes=0-1", If_Range=etag).status_code == 206


@pytest.mark.parametrize("name", ["c" + "0" * 24 + ".pdf", "c.pdf", "%00.pdf", "..%2fetc%2fpasswd.pdf", ""])
def test_unknown_address_is_404(server, name):
    answer = requests.get(f"{server}/renders/{name}", timeout=60)
    assert (answer.status_code, answer.text) == (404, "Not found.\n")
    assert "Cache-Control" not in answer.headers


def test_other_extension_is_404(files):
    assert requests.get(files["pdf"].replace(".pdf", ".png"), timeout=60).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nobody_writes_there(fetch, method):
    assert fetch(method=method).status_code in {403, 405}
    assert fetch().status_code == 200


@pytest.mark.parametrize("state", ["pending", "running", "failed"])
def test_render_without_a_file_has_no_public_address(server, api, accept, state):
    render = accept(api, api.template())
    if state != "pending":
        statements.claim(render.id, lease_seconds=3600)
    if state == "failed":
        statements.fail(render.id, attempt=1, error="No.", code="template_error")
    answer = requests.get(f"{server}/renders/{render.id}.pdf", timeout=60)
    assert (answer.status_code, "Cache-Control" in answer.headers) == (404, False)


def test_file_that_the_store_lost_is_503_and_not_to_be_kept(server, api):
    _, body = api.render(api.template())
    store.delete([f"renders/{body['id']}.pdf"])
    answer = requests.get(f"{server}/renders/{body['id']}.pdf", timeout=60)
    assert (answer.status_code, answer.headers["Cache-Control"], answer.headers["Retry-After"]) == (
        503,
        "no-store",
        "2",
    )
