import contextlib
import re
from html.parser import HTMLParser

import jsonschema
import pytest
from django.test import Client
from drf_spectacular.validation import validate_schema

from tests.api.test_route_permissions import OPEN_TO_ALL, ROUTES

METHODS = {"get", "post", "put", "patch", "delete"}
ERRORS_OF = {"GET": {"401"}, "POST": {"400", "401", "413", "415", "422"}, "DELETE": {"401"}}
ERRORS_OF["PATCH"] = ERRORS_OF["POST"]


@pytest.fixture(scope="module")
def document(database):
    return Client().get("/api/v1/openapi.json", headers={"Accept": "application/json"}).json()


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield method.upper(), path, item[method]


def test_document_is_valid_openapi(document):
    validate_schema(document)
    assert document["openapi"] == "3.1.0"


def test_every_operation_of_the_api_is_described(document):
    described = {(method, path) for method, path, _ in operations(document)}
    routes = {(method, "/api/v1/" + re.sub(r"<(?:id|int):(\w+)>", r"{\1}", route)) for method, route in ROUTES}
    assert described - {(method, f"/api/v1/{route}") for method, route in OPEN_TO_ALL} == routes


def test_every_operation_has_a_summary_an_id_and_its_error_answers(document):
    lacking = []
    for method, path, operation in operations(document):
        expected = ERRORS_OF[method] | ({"404"} if "{" in path else set())
        if not (
            operation.get("summary") and operation.get("operationId") and expected <= set(operation["responses"])
        ):
            lacking.append((method, path, sorted(expected - set(operation["responses"]))))
    assert lacking == []


NOT_OURS = "414"  # the web server's answer to a request line that is too long, and no JSON


def test_errors_are_described_as_an_object_with_a_sentence(document):
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status.startswith("4") and status != NOT_OURS:
                reference = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                schema = document["components"]["schemas"][reference]
                assert "error" in schema["required"], (method, path, status)
                assert answer["description"], (method, path, status)


def test_operations_need_the_key_scheme(document):
    schemes = document["components"]["securitySchemes"]
    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == [("http", "bearer")]
    for _, _, operation in operations(document):
        assert operation["security"] == [{name: [] for name in schemes}]


def test_real_answers_fit_their_schemas(api, document):
    template_id = api.template()
    created = api.post("/api/v1/renders", {"template_id": template_id, "data": {"a": [1]}})
    answers = {
        ("get", "/api/v1/credits"): api.get("/api/v1/credits"),
        ("get", "/api/v1/templates"): api.get("/api/v1/templates"),
        ("get", "/api/v1/templates/{template_id}"): api.get(f"/api/v1/templates/{template_id}"),
        ("get", "/api/v1/templates/{template_id}/versions"): api.get(f"/api/v1/templates/{template_id}/versions"),
        ("get", "/api/v1/templates/{template_id}/versions/{number}"): api.get(
            f"/api/v1/templates/{template_id}/versions/1"
        ),
        ("post", "/api/v1/templates/{template_id}/publish"): api.post(f"/api/v1/templates/{template_id}/publish"),
        ("post", "/api/v1/renders"): created,
        ("get", "/api/v1/renders"): api.get("/api/v1/renders"),
        ("get", "/api/v1/renders/{render_id}"): api.get(f"/api/v1/renders/{created.json()['id']}"),
        ("get", "/api/v1/jobs"): api.get("/api/v1/jobs"),
        ("get", "/api/v1/jobs/{job_id}"): api.get(f"/api/v1/jobs/{created.json()['job_id']}"),
        ("delete", "/api/v1/renders/{render_id}"): api.send("DELETE", f"/api/v1/renders/{created.json()['id']}"),
    }
    for (method, path), answer in answers.items():
        described = document["paths"][path][method]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**schema, "components": document["components"]})


class Sources(HTMLParser):
    """Every address a page loads or links, and whether a script stands in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in {"src", "href", "action", "data"} and value]


@pytest.fixture
def page(database):
    def load(path):
        answer = Client().get(path)
        assert answer.status_code == 200, answer.content[:300]
        assert answer.headers["Content-Type"].startswith("text/html")
        parser = Sources()
        parser.feed(answer.content.decode())
        return answer.content.decode(), parser.addresses

    return load


@pytest.mark.parametrize("path", ["/docs", "/", "/admin/login/"])
def test_page_loads_nothing_from_elsewhere(page, path):
    text, addresses = page(path)
    assert [address for address in addresses if re.match(r"(?i)\w+:|//", address)] == []
    loaded_in_styles_or_scripts = re.findall(
        r"(?:url\(|@import\s+|import\(|src\s*=\s*)[\"']?((?:https?:)?//[^\"')\s]+)", text
    )
    assert loaded_in_styles_or_scripts == []


def test_every_asset_of_the_docs_page_is_served_by_us(page):
    client, (_, addresses) = Client(), page("/docs")
    assets = [address for address in addresses if address.startswith("/static/")]
    assert len(assets) >= 3
    for address in assets:
        with contextlib.closing(client.get(address)) as answer:
            assert answer.status_code == 200, address
    script = client.get("/docs?script=").content.decode()
    assert "/docs?script=" in addresses
    assert 'url: "/api/v1/openapi.json"' in script
    assert '"validatorUrl": null' in script  # else Swagger UI shows a picture from another server
    assert re.findall(r"https?://", script) == []


def test_docs_page_may_load_nothing_from_elsewhere_and_stand_in_no_frame(page):
    answer = Client().get("/docs")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.content.decode()) == []
    assert "Set-Cookie" not in answer.headers


def test_home_page_links_to_everything_and_every_link_works(page):
    text, addresses = page("/")
    assert {"/docs", "/api/v1/openapi.json", "/admin/", "/readyz"} <= set(addresses)
    assert "curl " in text
    client = Client()
    for address in addresses:
        assert client.get(address, follow=True).status_code in {200, 503}, address


def test_login_page_of_operators_asks_for_a_password(page):
    text, _ = page("/admin/login/")
    assert 'type="password"' in text
