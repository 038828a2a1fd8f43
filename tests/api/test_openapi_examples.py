"""Every example of the OpenAPI document fits its schema, says what the server says, and works when it is sent."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import rendercv_fonts
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.models import Team
from automette import demo_ids, openapi_examples
from automette.lib.ids import new_id
from automette.openapi_document import EXAMPLES
from tests.conftest import Api
from tests.webhooks.deliveries import subscribe

FONT = Path(rendercv_fonts.__file__).parent / "Lato" / "Lato-Italic.ttf"
DOCUMENT = "/api/v1/openapi.json"


def read_document() -> dict[str, Any]:
    return Client().get(DOCUMENT, headers={"Accept": "application/json"}).json()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


@pytest.fixture(scope="module")
def document(database):
    return read_document()


def test_every_operation_has_examples_and_every_example_an_operation(document):
    assert {operation["operationId"] for _, _, operation in operations(document)} == set(EXAMPLES)


def test_every_json_body_and_answer_has_an_example_that_fits_its_schema(document):
    lacking = []
    for method, path, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            content = body.get("content", {}).get("application/json")
            if content is None:
                continue
            schema = {**content["schema"], "components": document["components"]}
            for example in content.get("examples", {}).values():
                jsonschema.validate(example["value"], schema, cls=jsonschema.Draft202012Validator)
            if not content.get("examples"):
                lacking.append((method, path, name))
    assert lacking == []


def test_every_path_parameter_has_an_example(document):
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or "example" in parameter, (method, path, parameter["name"])


def test_every_tag_is_explained(document):
    explained = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for _, _, operation in operations(document) for tag in operation["tags"]} == explained


def test_what_can_happen_everywhere_is_told_everywhere(document):
    for method, path, operation in operations(document):
        answers = operation["responses"]
        assert {"401", "429", "500", "503"} <= set(answers), (method, path)
        for status, answer in answers.items():
            # a request line that is too long never reaches the application
            assert status == "414" or "X-Request-Id" in answer["headers"], (method, path, status)
            assert answer["description"], (method, path, status)
        assert all("Retry-After" in answers[status]["headers"] for status in ("429", "503"))
        assert "Location" in answers.get("302", {"headers": {"Location"}})["headers"]


def test_answers_name_all_that_is_always_there(document):
    """Only what is left out at times is optional."""
    optional = {
        (name, key)
        for name, schema in document["components"]["schemas"].items()
        if not name.endswith("Request")
        for key in set(schema.get("properties", {})) - set(schema.get("required", ()))
    }
    assert optional == {
        ("AvailableField", "label"),
        ("AvailableField", "required"),
        ("Error", "detail"),
        ("InsufficientCredits", "detail"),
        ("NotCompilable", "detail"),
        ("NotCompilable", "diagnostics"),
        ("Render", "files"),
        ("RenderCreated", "files"),
        *(("RenderRefused", key) for key in ("detail", "id", "self", "status")),
    }


def test_no_key_stands_in_the_document(document):
    assert re.findall(r"dg_\w+", json.dumps(document)) == []


def test_without_the_demo_team_ids_stay_made_up(document, database):
    assert demo_ids.find() == {}
    assert openapi_examples.TEMPLATE_ID in json.dumps(document)


@pytest.fixture
def demo(server, settings, tmp_path, capsys) -> Iterator[Api]:
    """The demo team as `make run` has it, after its first document."""
    settings.SHOW_DEMO_DOCUMENTS, settings.AUTOMETTE_DATA = True, tmp_path
    call_command("seed_demo", json=True)
    told = json.loads(capsys.readouterr().out)
    api = Api(Team.objects.get(pk=told["team"]["id"]), told["api_key"])
    status, body = api.render(api.team.templates.live().get(name="Greeting").id)
    assert status == 200, body
    yield api
    api.team.webhook_subscriptions.filter(deleted_at=None).update(enabled=False)  # their address is made up


def filled(path: str, operation: dict[str, Any]) -> str:
    values = {parameter["name"]: parameter.get("example") for parameter in operation.get("parameters", ())}
    return path.format(**values)


def requests_of(document):
    """Each example as method, path, body and content type; what needs others comes after them, what deletes last."""
    order = {"revoke_url_base": 1}
    for method, path, operation in sorted(
        operations(document), key=lambda each: order.get(each[2]["operationId"], 2 * (each[0] == "delete"))
    ):
        address = filled(path, operation)
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            yield operation, method, address, b"", "application/json"
        for example in content.get("application/json", {}).get("examples", {}).values():
            yield operation, method, address, json.dumps(example["value"]).encode(), "application/json"
        if form := content.get("multipart/form-data"):
            schema = document["components"]["schemas"][form["schema"]["$ref"].rpartition("/")[2]]
            values = {name: part["example"] for name, part in schema["properties"].items() if "example" in part}
            file = (
                FONT.read_bytes()
                if operation["operationId"] == "add_font"
                else b'Hello #data.at("name", default: "World")!'
            )
            parts = {**values, "file": SimpleUploadedFile("file.typ", file)}
            yield operation, method, address, encode_multipart(BOUNDARY, parts), MULTIPART_CONTENT


def test_every_example_works_when_the_demo_team_sends_it(demo):
    document, refused = read_document(), []
    assert openapi_examples.TEMPLATE_ID not in json.dumps(document)
    for operation, method, path, body, content_type in requests_of(document):
        answer = demo.send(method.upper(), path, body, content_type)
        if answer.status_code >= 300 or str(answer.status_code) not in operation["responses"]:
            refused.append((operation["operationId"], body, answer.status_code, answer.content))
        else:
            described = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            jsonschema.validate(answer.json(), {**described, "components": document["components"]})
    assert refused == []


JSON = "application/json"
SENTENCES = [
    # operation, status, which example, method, path, body
    ("create_render", 400, "Not an object", "POST", "renders", b"[]"),
    ("create_render", 400, "A field is missing", "POST", "renders", b"{}"),
    ("create_render", 422, "A value is not allowed", "POST", "renders", b'{"template_id": "x", "visibility": "x"}'),
    ("create_template", 400, "A field is missing", "POST", "templates", b'{"name": "A", "engine": "typst"}'),
    (
        "create_template",
        422,
        "A value is not allowed",
        "POST",
        "templates",
        b'{"name":"A","engine":"x","source":"x"}',
    ),
    ("list_renders", 422, "Out of range", "GET", "renders?limit=101", b""),
    ("list_renders", 422, "Unknown cursor", "GET", "renders?cursor=x", b""),
    ("list_jobs", 422, "Unknown cursor", "GET", "jobs?cursor=x", b""),
    ("list_ledger_entries", 422, "Unknown cursor", "GET", "credits/ledger?cursor=x", b""),
    ("list_templates", 422, "Unknown engine", "GET", "templates?engine=x", b""),
    ("list_assets", 422, "Not an id", "GET", "assets?template_id=", b""),
    ("get_render", 404, "Not found", "GET", "renders/{unknown}", b""),
    ("get_render", 425, "Not finished", "GET", "renders/{render_id}?download=true", b""),
    ("get_render", 422, "Unknown format", "GET", "renders/{render_id}?format=x", b""),
    ("get_version", 422, "Not a name", "GET", "templates/{template_id}/versions/1?file=", b""),
    ("publish_version", 422, "No such version", "POST", "templates/{template_id}/publish", b'{"version": 7}'),
    ("update_template", 422, "A value is not allowed", "PATCH", "templates/{template_id}", b'{"engine": "canvas"}'),
    ("create_webhook", 400, "A field is missing", "POST", "webhooks", b'{"url": "https://shop.example"}'),
    (
        "create_webhook",
        422,
        "Not https",
        "POST",
        "webhooks",
        b'{"url": "http://shop.example", "events": ["render.failed"]}',
    ),
    ("create_webhook", 422, "Unknown event", "POST", "webhooks", b'{"url": "https://shop.example", "events": ["x"]}'),
    ("test_webhook", 422, "Unknown event", "POST", "webhooks/{webhook_id}/test", b'{"event": "x"}'),
    ("list_webhook_deliveries", 422, "Unknown cursor", "GET", "webhooks/{webhook_id}/deliveries?cursor=x", b""),
    ("redeliver_to_webhook_since", 422, "Not a time", "POST", "webhooks/{webhook_id}/redeliver", b'{"since": "x"}'),
    ("redeliver_to_webhook_since", 400, "A field is missing", "POST", "webhooks/{webhook_id}/redeliver", b"{}"),
    ("get_asset", 422, "Neither true nor false", "GET", "assets/{unknown}?download=x", b""),
]


@pytest.mark.parametrize(("operation", "status", "example", "method", "path", "body"), SENTENCES)
def test_errors_say_what_the_document_says(api, accept, operation, status, example, method, path, body):
    template_id = api.template()
    ids = {"template_id": template_id, "render_id": accept(api, template_id).id, "unknown": new_id()}
    ids["webhook_id"] = subscribe(api).id
    answer = api.send(method, f"/api/v1/{path.format(**ids)}", body, JSON)
    examples = EXAMPLES[operation].answers.get(status) or openapi_examples.ERRORS[status]
    assert (answer.status_code, answer.json()) == (status, examples[example])


def test_errors_of_forms_say_what_the_document_says(api):
    answer = api.send("POST", "/api/v1/assets", b"x", MULTIPART_CONTENT)
    assert answer.json() == EXAMPLES["save_asset"].answers[400]["Not a form"]
    nothing = encode_multipart(BOUNDARY, {"name": "x"})
    answer = api.send("POST", "/api/v1/assets", nothing, MULTIPART_CONTENT)
    assert answer.json() == EXAMPLES["save_asset"].answers[400]["The file is missing"]


def test_errors_of_any_operation_say_what_the_document_says(api, settings):
    said = openapi_examples.ERRORS
    client = Client()
    address = "/api/v1/credits"
    assert client.get(address).json() == said[401]["No key"]
    wrong = client.get(address, headers={"Authorization": "Bearer dg_x"})
    assert wrong.json() == said[401]["Typing error"]
    answer = api.send("POST", "/api/v1/renders", b"x", "text/plain")
    assert (answer.status_code, answer.json()) == (415, said[415]["Another type"])
    answer = api.send("POST", "/api/v1/renders", b" " * (settings.MAX_BODY_BYTES + 1), JSON)
    assert (answer.status_code, answer.json()) == (413, said[413]["Too large"])
