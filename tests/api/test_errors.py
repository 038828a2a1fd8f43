"""Whatever goes wrong under /api/, the answer is a JSON object with a sentence in `error`."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

UNKNOWN = [
    "/api/",
    "/api/v1",
    "/api/v1/",
    "/api/v1/nowhere",
    "/api/v1/renders/",
    "/api/v1/credits/",
    "/api/v2/renders",
    "/api/v1/renders/c123",
    "/api/v1/renders/C" + "A" * 24,
    "/api/v1/renders/%00",
    "/api/v1/templates/c%00" + "0" * 23,
    "/api/v1/renders/" + "c" * 3000,
    "/api/v1/renders/../../../etc/passwd",
    "/api/v1/renders/%ff%fe",
]


def assert_refused(answer, status: int) -> dict:
    assert answer.status_code == status, answer.content[:500]
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) <= {"error", "detail"}
    assert all(isinstance(value, str) and value for value in body.values())
    assert len(body["error"]) <= 500
    return body


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_path_is_404(api, method, path):
    assert assert_refused(api.send(method, path), 404) == {"error": "Not found."}


def test_unknown_path_outside_of_the_api_is_one_line_of_text(api):
    answer = api.get("/nowhere")
    assert (answer.status_code, answer.content) == (404, b"Not found.\n")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/renders", "GET, POST, HEAD, OPTIONS"),
        ("PUT", "/api/v1/templates", "GET, POST, HEAD, OPTIONS"),
        ("POST", "/api/v1/credits", "GET, HEAD, OPTIONS"),
        ("POST", f"/api/v1/renders/c{'0' * 24}", "GET, DELETE, HEAD, OPTIONS"),
        ("TRACE", "/api/v1/renders", "GET, POST, HEAD, OPTIONS"),
        ("BREW", "/api/v1/renders", "GET, POST, HEAD, OPTIONS"),
    ],
)
def test_method_that_a_path_lacks_is_405_and_says_what_is_allowed(api, method, path, allowed):
    answer = api.send(method, path)
    assert_refused(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("accept", ["text/html", "application/pdf", "application/xml, text/*", "nonsense"])
@pytest.mark.parametrize("path", ["/api/v1/credits", "/api/v1/renders"])
def test_answer_in_another_form_than_json_is_406(api, path, accept):
    assert_refused(api.get(path, headers={"Accept": accept}), 406)


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/*", "text/html, */*;q=0.8"])
def test_caller_who_takes_json_gets_json(api, accept):
    assert api.get("/api/v1/credits", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
        "application/jsonx",
        "json",
        ";",
    ],
)
def test_body_that_is_not_declared_as_json_is_415(api, nothing_changes, content_type):
    body = json.dumps({"template_id": api.template()}).encode()
    with nothing_changes(api):
        assert_refused(api.send("POST", "/api/v1/renders", body, content_type), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"])
def test_every_spelling_of_json_is_taken(api, content_type):
    body = json.dumps({"template_id": api.template()}).encode()
    assert api.send("POST", "/api/v1/renders", body, content_type).status_code == 202


@pytest.mark.parametrize("path", ["/api/v1/renders", "/api/v1/templates"])
def test_request_without_a_body_needs_no_content_type(api, nothing_changes, path):
    with nothing_changes(api):
        body = assert_refused(api.send("POST", path, b"", ""), 400)
    assert "This field is required." in body["error"]


@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}"])
def test_empty_body_lacks_the_required_field(api, nothing_changes, body):
    with nothing_changes(api):
        refused = assert_refused(api.send("POST", "/api/v1/renders", body), 400)
    assert refused == {"error": "template_id: This field is required."}


def test_several_mistakes_are_all_told_in_the_detail(api, nothing_changes):
    with nothing_changes(api):
        refused = assert_refused(api.post("/api/v1/templates", {"engine": "typst"}), 400)
    assert refused == {
        "error": "name: This field is required.",
        "detail": "name: This field is required. source: This field is required.",
    }


def test_forbidden_host_is_400(api):
    assert assert_refused(api.get("/api/v1/credits", headers={"Host": "evil host"}), 400) == {"error": "Bad request."}


def test_too_many_query_parameters_are_400(api):
    assert_refused(api.send("GET", "/api/v1/renders?" + "a&" * 2000), 400)


@pytest.mark.parametrize("path", ["/api/v1/renders", "/api/v1/templates", "/api/v1/openapi.json"])
@pytest.mark.parametrize(
    "query", ["%00", "%00=1", "limit=%00", "status=%00", "engine=%00", "lang=%00", "version=%00"]
)
def test_nul_in_the_query_is_never_a_server_error(api, path, query):
    assert api.send("GET", f"{path}?{query}").status_code in {200, 422}


def test_unforeseen_exception_tells_the_request_id_and_nothing_else(api, new_api):
    """The one way to have one without touching the code: a team whose account row is gone."""
    poor = new_api()
    poor.team.credit_account.delete()
    sent = "3f2b8c1e-6a54-4c0e-9d1b-0a9f8e7d6c5b"
    answer = poor.get("/api/v1/credits", headers={"X-Request-Id": sent})
    assert assert_refused(answer, 500) == {
        "error": "Something went wrong on our side. It is safe to try again.",
        "detail": f"Request id: {sent}",
    }


@pytest.mark.parametrize("path", ["/api/v1/renders", "/api/v1/credits", "/api/v1/templates"])
def test_options_answers_json(api, path):
    answer = api.send("OPTIONS", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


def test_head_answers_like_get_without_a_body(server, api):
    got = _raw(server, "HEAD", "/api/v1/credits", {"Authorization": f"Bearer {api.key}"})
    assert (got.status, got.headers["Content-Type"], got.read()) == (200, "application/json", b"")


def _raw(server, method, path, headers):
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    connection.close()
    return answer
