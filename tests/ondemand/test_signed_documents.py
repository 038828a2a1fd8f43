"""`/ondemand/{url_base}/image.{ext}?data=...&s=...` as visitors, browsers and CDNs use it."""

import pytest
import requests
from django.db import OperationalError
from django.test import Client
from django.utils.http import http_date

from automette.lib import store
from tests.api.test_query_counts import executed
from tests.ondemand.conftest import BANNER, FOR_EVER, Signer, body_of
from tests.ondemand.refusals import is_refusal


@pytest.fixture(scope="module")
def made():
    return {}


@pytest.fixture
def card(server, made, new_api):
    """A rendered Canvas document and its base, which the tests of this module only read."""
    if not made:
        signer = Signer(new_api(name="A team with a card"))
        template_id = signer.template(BANNER, engine="canvas", name="Lettre à Zoë", filename_pattern="{template}")
        made["card"] = signer.finished(template_id, {"name": "Zoë"})
        made["signer"] = signer
    return made["card"]


def test_get_is_the_picture_and_what_caches_need(card, fetch):
    answer = fetch(card.path)
    content = body_of(answer)
    file = card.render.files.get()
    assert (answer.status_code, content[:8], len(content)) == (200, b"\x89PNG\r\n\x1a\n", file.size_bytes)
    assert answer.streaming
    expected = {
        "Content-Type": "image/png",
        "Content-Length": str(file.size_bytes),
        "ETag": f'"{file.sha256}"',
        "Cache-Control": FOR_EVER,
        "Accept-Ranges": "bytes",
        "Last-Modified": http_date(card.render.finished_at.timestamp()),
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Range, ETag",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": (
            "inline; filename=\"Lettre a Zoe.png\"; filename*=UTF-8''Lettre%20%C3%A0%20Zo%C3%AB.png"
        ),
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    volatile = {"X-Request-Id", "Referrer-Policy", "Cross-Origin-Opener-Policy"}
    assert {name: value for name, value in answer.headers.items() if name not in volatile} == expected


def test_pdf_is_shown_as_well(api, server, signer, fetch):
    signed = signer.finished(signer.template(), {"name": "Ada"})
    answer = fetch(signed.path)
    assert (answer.status_code, body_of(answer)[:5]) == (200, b"%PDF-")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("inline; ")


def test_data_reaches_the_template(server, signer, fetch):
    """It panics unless it gets exactly what was signed."""
    source = '#assert.eq(data, (a: "1", b: "ö"))\n#set page(width: 9pt, height: 9pt)\n'
    template_id = signer.template(source)
    assert fetch(signer.finished(template_id, {"b": "ö", "a": "1"}).path).status_code == 200
    assert is_refusal(fetch(signer.finished(template_id, {"b": "o", "a": "1"}).path), 422)


def test_head_tells_the_same_without_asking_the_store(card, fetch, monkeypatch):
    got = fetch(card.path)
    monkeypatch.setattr(store, "stream", None)
    told = fetch(card.path, "HEAD")
    assert (told.status_code, told.content) == (200, b"")
    assert {**told.headers, "X-Request-Id": ""} == {**got.headers, "X-Request-Id": ""}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("pattern", ["{}", "W/{}", '"other", {}', "*"])
def test_known_etag_is_304_without_asking_the_store(card, fetch, monkeypatch, method, pattern):
    monkeypatch.setattr(store, "stream", None)
    etag = f'"{card.render.files.get().sha256}"'
    answer = fetch(card.path, method, If_None_Match=pattern.format(etag))
    assert (answer.status_code, answer.content) == (304, b"")
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (etag, FOR_EVER)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"Vary", "Set-Cookie"} & set(answer.headers) == set()


def test_time_of_the_file_is_304_and_another_is_not(card, fetch):
    at = card.render.finished_at.timestamp()
    assert fetch(card.path, If_Modified_Since=http_date(at)).status_code == 304
    assert fetch(card.path, If_Modified_Since=http_date(at - 60)).status_code == 200
    assert fetch(card.path, If_Modified_Since=http_date(at), If_None_Match='"other"').status_code == 200


def test_failed_precondition_is_412(card, fetch):
    assert is_refusal(fetch(card.path, If_Match='"other"'), 412)


RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=5-", 5, None),
    ("bytes=-5", -5, None),
    ("bytes=10-99999999999", 10, None),
    ("bytes=-99999999999", 0, None),
]


@pytest.mark.parametrize(("wanted", "start", "stop"), RANGES)
def test_range_is_206_with_exactly_those_bytes(card, fetch, wanted, start, stop):
    whole = body_of(fetch(card.path))
    answer, expected = fetch(card.path, Range=wanted), whole[start:stop]
    first = start % len(whole) if start < 0 else start
    assert (answer.status_code, body_of(answer)) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.headers["Cache-Control"] == FOR_EVER


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=-0"])
def test_range_beyond_the_end_is_416_with_the_size(card, fetch, wanted):
    answer = fetch(card.path, Range=wanted)
    assert is_refusal(answer, 416)
    assert answer.headers["Content-Range"] == f"bytes */{card.render.files.get().size_bytes}"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,4-5", "bytes=5-3", "bytes=", "bytes=a-b", "lines=0-1", "bytes=0-" + "9" * 5000]
)
def test_several_or_odd_ranges_get_the_whole_file(card, fetch, wanted):
    answer = fetch(card.path, Range=wanted)
    assert (answer.status_code, body_of(answer)) == (200, body_of(fetch(card.path)))


def test_range_of_another_file_gets_the_whole_one(card, fetch):
    etag = f'"{card.render.files.get().sha256}"'
    assert fetch(card.path, Range="bytes=0-1", If_Range='"other"').status_code == 200
    assert fetch(card.path, Range="bytes=0-1", If_Range=etag).status_code == 206


def test_preflight_is_answered_without_looking(card, fetch):
    with executed() as seen:
        answer = fetch(
            card.path,
            "OPTIONS",
            Origin="https://shop.example",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="x-requested-with",
        )
    assert (answer.status_code, seen, answer.content) == (200, [], b"")
    told = {name: answer.headers[name] for name in answer.headers if name.startswith("Access-Control-")}
    assert told == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": "*",
        "Access-Control-Max-Age": "86400",
        "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Range, ETag",
    }
    assert {"Vary", "Set-Cookie"} & set(answer.headers) == set()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_nobody_writes_there(card, method):
    answer = Client(enforce_csrf_checks=True).generic(method, card.path)
    assert is_refusal(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("kind", ["GET", "HEAD", "304"])
def test_what_is_there_costs_one_statement(card, fetch, kind):
    """Nothing of it is limited, counted or charged."""
    etag = {"If_None_Match": "*"} if kind == "304" else {}
    with executed() as seen:
        answer = fetch(card.path, "HEAD" if kind == "HEAD" else "GET", **etag)
    assert (answer.status_code, len(seen)) == (304 if kind == "304" else 200, 1)


def test_fetching_costs_nothing(made, card, fetch):
    api = made["signer"].api
    before = api.credits(), api.team.renders.count()
    for _ in range(20):
        assert fetch(card.path, "HEAD").status_code == 200
    assert (api.credits(), api.team.renders.count()) == before


def test_cookies_keys_and_languages_make_no_difference(made, card, fetch):
    plain = fetch(card.path)
    client = Client()
    client.cookies["sessionid"] = "x" * 32
    client.cookies["csrftoken"] = "y" * 32
    headers = {
        "Authorization": "Bearer dg_x",
        "Accept-Language": "de",
        "Accept-Encoding": "gzip",
        "Accept": "text/html",
    }
    answer = client.get(card.path, headers={**headers, "Origin": "https://shop.example"})
    assert {**answer.headers, "X-Request-Id": ""} == {**plain.headers, "X-Request-Id": ""}
    assert body_of(answer) == body_of(plain)
    assert not answer.cookies


def test_file_is_not_public_by_the_way(card, server):
    """Revoking ends all that was open: there is no other address without a key."""
    extension = card.path.partition("?")[0].rpartition(".")[2]
    assert requests.get(f"{server}/renders/{card.render.id}.{extension}", timeout=60).status_code == 404
    assert card.render.visibility == "secure"


def test_over_the_network_with_a_url_of_8000_characters(api, server, signer):
    """Through the real server, whose limit of a request line must let it pass."""
    template_id = signer.template(BANNER, engine="canvas")
    empty = len(signer.sign(template_id, {"name": ""}).url)
    size = (8000 - empty) * 3 // 4 - 2
    signed = signer.finished(template_id, {"name": "x" * size})
    assert 7990 <= len(signed.url) <= 8000
    padded = f"{server}{signed.path}"
    answer = requests.get(padded, timeout=60)
    assert (answer.status_code, answer.content[:4]) == (200, b"\x89PNG")
    assert answer.headers["Cache-Control"] == FOR_EVER
    assert {"Vary", "Set-Cookie", "X-Frame-Options"} & set(answer.headers) == set()


def test_longest_request_line_that_can_be_signed_passes(api, server, signer):
    """The host is not in the line: the path alone is filled up to 8,000 here, and refused for its signature."""
    signed = signer.sign(signer.template())
    path = signed.path.replace("data=", "data=" + "A" * (8000 - len(signed.path)))
    assert len(path) == 8000
    assert is_refusal(requests.get(f"{server}{path}", timeout=60), 403)


def test_store_that_is_away_is_503_and_what_needs_no_store_is_not(card, fetch, monkeypatch):
    def away(*_, **__):
        raise store.StoreUnavailableError

    monkeypatch.setattr(store, "stream", away)
    assert is_refusal(fetch(card.path), 503)
    assert fetch(card.path, "HEAD").status_code == 200
    assert fetch(card.path, If_None_Match="*").status_code == 304


def test_database_that_is_away_is_503(card, fetch, monkeypatch):
    def away(**_):
        raise OperationalError

    monkeypatch.setattr("ondemand.statements.find_shown", away)
    assert is_refusal(fetch(card.path), 503)


def test_unforeseen_fault_is_500_in_the_same_form(card, fetch, monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr("ondemand.statements.find_shown", broken)
    answer = fetch(card.path)
    assert (answer.status_code, list(answer.json())) == (500, ["error", "detail"])
    assert answer.headers["Cache-Control"] == "no-store"
