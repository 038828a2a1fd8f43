"""Bodies made to break something: a documented status, a JSON error, nothing changed; never 500."""

import json
import socket
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings

MB = 1_000_000
DEEP = 100_000
POSTS = ["/api/v1/renders", "/api/v1/templates"]

# In these `ID` stands for the id of a template of the caller.
REFUSED = [
    (b"{", 400),
    (b"nonsense", 400),
    (b"\x00", 400),
    (b"null", 400),
    (b"[]", 400),
    (b"[{}]", 400),
    (b'"text"', 400),
    (b"1", 400),
    (b"true", 400),
    (b"{'a': 1}", 400),
    (b'{"a": 1,}', 400),
    (b"{} {}", 400),
    (b"\xff\xfe{\x00}\x00", 400),
    (b'{"a": "\xff"}', 400),
    (b'{"template_id": "ID", "data": {"a": "\x00"}}', 400),
    (b'{"template_id": "ID", "data": {"a": NaN}}', 400),
    (b'{"template_id": "ID", "data": {"a": Infinity}}', 400),
    (b'{"template_id": "ID", "data": {"a": -Infinity}}', 400),
    (b'{"template_id": "ID", "data": {"a": ' + b"9" * 4301 + b"}}", 400),
    (b'{"template_id": "ID", "data": {"a": -' + b"9" * 4301 + b"}}", 400),
    (b'{"template_id": "ID", "unknown": ' + b"9" * 4301 + b"}", 400),
    (b"[" * DEEP, 400),
    (b'{"a":' * DEEP, 400),
    (b'{"template_id": "ID", "data": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400),
    (b'{"template_id": "ID", "data": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}", 422),
    (b'{"template_id": "ID", "data": {"a": "\\u0000"}}', 422),
    (b'{"template_id": "ID", "data": {"\\u0000": 1}}', 422),
    (b'{"template_id": "ID", "data": {"a": [{"b\\u0000": 1}]}}', 422),
    (b'{"template_id": "ID", "data": {"a": "\\ud800"}}', 422),
    (b'{"template_id": "ID", "data": {"\\udfff": 1}}', 422),
    (b'{"template_id": "ID", "data": {"a": 1e400}}', 422),
    (b'{"template_id": "ID", "data": {"a": [-1e400]}}', 422),
    (b'{"template_id": "ID", "options": {"a": "\\u0000"}}', 422),
    (b'{"template_id": "ID", "options": {"a": 1e400}}', 422),
    (b'{"template_id": "ID", "options": {"\\ud800": 1}}', 422),
    (b'{"template_id": "\\u0000"}', 422),
    (b'{"template_id": "\\ud800"}', 422),
    (b'{"template_id": "' + b"c" * 101 + b'"}', 422),
    (b'{"template_id": "ID", "visibility": "\\ud800"}', 422),
    (b'{"template_id": "ID", "visibility": "public\\u0000"}', 422),
    (b'{"template_id": "ID", "format": "\\udfff"}', 422),
    (b'{"template_id": "ID", "webhook_url": "https://a\\u0000"}', 422),
    (b'{"template_id": "ID", "webhook_url": "https://\\ud800"}', 422),
    (b'{"template_id": "ID", "filename_pattern": "\\u0000"}', 422),
    (b'{"template_id": "ID", "filename_pattern": "\\ud800"}', 422),
]


def name_of(body) -> str:
    return repr(body[:60]) if isinstance(body, bytes) else str(body)


@pytest.mark.parametrize(("body", "status"), REFUSED, ids=name_of)
def test_hostile_render_is_refused(api, nothing_changes, body, status):
    body = body.replace(b"ID", api.template().encode())
    with nothing_changes(api):
        answer = api.send("POST", "/api/v1/renders", body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json"), answer.content[:300]
    assert isinstance(answer.json()["error"], str)
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("name", "a\x00b", 422),
        ("name", "x" * 201, 422),
        ("name", " \t", 400),
        ("source", "#\x00", 422),
        ("source", "", 400),
        ("source", "x" * (settings.MAX_SOURCE_BYTES + 1), 413),
        ("source", "\u00fc" * (settings.MAX_SOURCE_BYTES // 2 + 1), 413),
        ("project_id", "\x00", 422),
        ("project_id", "x" * 26, 422),
        ("filename_pattern", "\x00", 422),
        ("filename_pattern", "x" * 301, 422),
    ],
    ids=name_of,
)
def test_hostile_template_is_refused(api, nothing_changes, field, value, status):
    body = {"name": "A", "engine": "typst", "source": "Hi", field: value}
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.content[:300]
    assert answer.json()["error"].startswith(f"{field}: ")


@pytest.mark.parametrize("field", ["name", "engine", "source", "project_id", "filename_pattern"])
def test_half_of_a_surrogate_pair_is_refused_in_every_field_of_a_template(api, nothing_changes, field):
    body = json.dumps({"name": "A", "engine": "typst", "source": "Hi", field: "\ud83d"}).encode()
    with nothing_changes(api):
        answer = api.send("POST", "/api/v1/templates", body)
    assert answer.status_code == 422, answer.content


@pytest.mark.parametrize("field", ["visibility", "format", "webhook_url", "async", "data", "template_id"])
def test_nesting_near_the_interpreters_limit_is_refused(api, field):
    """Reading and refusing happen at different depths of the stack: none may run out where the other did not."""
    for depth in [*range(850, 890, 10), *range(890, 960), *range(960, 1000, 10)]:
        body = f'{{"template_id": "x", "{field}": {"[" * depth}{"]" * depth}}}'.encode()
        assert api.send("POST", "/api/v1/renders", body).status_code in {400, 422}, depth


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b" " * (10 * MB), b'{"name": "' + b"x" * (10 * MB), b"[" * (10 * MB)], ids=name_of)
def test_body_of_ten_megabytes_is_413(api, nothing_changes, path, body):
    with nothing_changes(api):
        answer = api.send("POST", path, body)
    assert (answer.status_code, answer.json()) == (413, {"error": "The body is larger than 8,000,000 bytes."})


def test_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(api):
    template_id = api.template()
    head, tail = f'{{"template_id": "{template_id}", "unknown": "'.encode(), b'"}'
    body = head + b"x" * (8 * MB - len(head) - len(tail)) + tail
    assert len(body) == 8 * MB
    assert api.send("POST", "/api/v1/renders", body).status_code == 202
    assert api.send("POST", "/api/v1/renders", body + b" ").status_code == 413


# --- the same over a real connection, where the server may not have read the body when it answers


def _post(server, api, body, **headers):
    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json", **headers}
    return requests.post(f"{server}/api/v1/renders", data=body, headers=headers, timeout=60)


def _in_chunks(body: bytes, size: int = 64 * 1024):
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("pack", [bytes, _in_chunks], ids=["with its length", "chunked"])
def test_too_large_body_is_413_over_the_network(server, api, nothing_changes, pack):
    with nothing_changes(api):
        answer = _post(server, api, pack(b" " * (10 * MB)))
    assert (answer.status_code, answer.json()) == (413, {"error": "The body is larger than 8,000,000 bytes."})


def test_chunked_body_is_read_like_any_other(server, api):
    body = json.dumps({"template_id": api.template(), "data": {"name": "x" * 100_000}}).encode()
    answer = _post(server, api, _in_chunks(body, 1000))
    assert answer.status_code == 202, answer.text[:300]
    assert answer.json()["data"] == {"name": "x" * 100_000}


def test_chunked_body_that_is_broken_json_is_400(server, api, nothing_changes):
    with nothing_changes(api):
        answer = _post(server, api, _in_chunks(b'{"template_id": ', 3))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The body is not valid JSON: ")


def test_broken_chunk_is_400(server, api, nothing_changes):
    place = urlsplit(server)
    head = f"POST /api/v1/renders HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {api.key}\r\n"
    request = f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with nothing_changes(api), socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n{" not in answer or not answer.endswith(b"}"):
            received = connection.recv(4000)
            assert received, answer
            answer += received
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'{"error":"The body could not be read to its end."}')


def test_body_without_content_type_or_length_is_an_empty_one_over_the_network(server, api, nothing_changes):
    with nothing_changes(api):
        answer = requests.post(f"{server}/api/v1/renders", headers={"Authorization": f"Bearer {api.key}"}, timeout=60)
    assert (answer.status_code, answer.json()) == (400, {"error": "template_id: This field is required."})
