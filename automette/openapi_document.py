"""The last step of making the OpenAPI document: what holds for every operation, and the examples."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

import credits.openapi_examples
import ondemand.openapi_examples
import renders.openapi_examples
import templates_app.file_openapi_examples
import templates_app.openapi_examples
import webhooks.openapi_examples
from automette import demo_ids
from automette.openapi_examples import BASE, ERRORS, Examples

EXAMPLES: Final[dict[str, Examples]] = {
    **credits.openapi_examples.EXAMPLES,
    **ondemand.openapi_examples.EXAMPLES,
    **renders.openapi_examples.EXAMPLES,
    **templates_app.file_openapi_examples.EXAMPLES,
    **templates_app.openapi_examples.EXAMPLES,
    **webhooks.openapi_examples.EXAMPLES,
}
DESCRIPTION: Final = """\
Templates and JSON in, finished documents out.

- **Key**: every call needs `Authorization: Bearer dg_...`. On this page: press *Authorize*, paste the key, and every
  form below sends it. `make run` prints the demo team's key and keeps it in the file `api-key` of its data folder.
- **Errors** are JSON: `error` is a sentence for a human, `detail` says more where there is more to say. Beside the
  answers listed with each operation: 404 for an address that does not exist, 405 for a method and 406 for an `Accept`
  header that it cannot serve.
- **`X-Request-Id`** comes with every answer; a UUID that you send in this header is kept.
- **Ids** have 25 characters and begin with `c`; **times** are UTC with three decimals.
- **Unknown keys** in a body are ignored. New keys may be added to answers at any time.
"""
_NOT_BLANK: Final = r"\S"
ID: Final = {"pattern": "^c[0-9a-z]{24}$"}
_PAGING: Final = {
    "limit": "How many there may be on a page.",
    "cursor": "`next_cursor` of the page before; left out: the first page.",
}
_NOT_OUR_IDS: Final = {"LedgerEntry.id", "WebhookDelivery.event_id", "Delivery.event_id", "DeliveryListItem.event_id"}
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "Names this request in our logs.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "Retry-After": {
        "description": "After how many seconds to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}},
    "Location": {
        "description": "Valid for minutes, without a key.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
}
_HEADER_OF: Final = {302: "Location", 401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_EVERYWHERE: Final = {
    "500": {"description": "Something went wrong on our side; it is safe to try again.", "content": _ERROR},
    "503": {"description": "A part of this server is away for the moment; try again.", "content": _ERROR},
}
LONGEST_REQUEST_LINE: Final = 8190
_TOO_LONG: Final = {
    "description": f"The request line has more than {LONGEST_REQUEST_LINE:,} characters; the answer is not JSON."
}


def complete(
    result: dict[str, Any],
    generator: object,
    request: HttpRequest | None,
    public: bool,  # noqa: FBT001 (spectacular's)
) -> dict[str, Any]:
    """Finish the generated document; called by drf-spectacular, without a request when it writes a file."""
    result["info"]["description"] = DESCRIPTION
    components = result["components"]
    components["headers"] = _HEADERS
    for name, schema in components["schemas"].items():
        _tell_shapes(name, schema)
    for operation in _operations(result):
        examples = EXAMPLES.get(operation["operationId"], Examples())
        _complete(operation, examples)
        form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
        if form:
            _fill_form(components["schemas"][form["schema"]["$ref"].rpartition("/")[2]], examples)
    if request is not None:
        result = _with_values(result, {BASE: settings.PUBLIC_URL, **demo_ids.find()})
    return result


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()


def _tell_shapes(schema_name: str, schema: dict[str, Any]) -> None:
    """Say what the names of properties mean everywhere, and that texts to be sent may not be blank."""
    for name, value in schema.get("properties", {}).items():
        if "string" not in value.get("type", ()) or {"pattern", "enum", "format"} & value.keys():
            continue
        if _is_id(name) and f"{schema_name}.{name}" not in _NOT_OUR_IDS:
            value.update(ID)
        elif name in {"self", "url"}:
            value["format"] = "uri"
        elif value.get("minLength"):
            value["pattern"] = _NOT_BLANK
    if _is_form(schema):
        schema |= {"propertyNames": {"minLength": 1}}


def _is_form(schema: dict[str, Any]) -> bool:
    return any(value.get("format") == "binary" for value in schema.get("properties", {}).values())


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def _complete(operation: dict[str, Any], examples: Examples) -> None:
    if examples.description:
        operation["description"] = examples.description
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter, examples)
    json_body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    _show(json_body, examples.body)
    answers = operation["responses"]
    for status, answer in _EVERYWHERE.items():
        answers.setdefault(status, json.loads(json.dumps(answer)))
    for status, answer in answers.items():
        _complete_answer(int(status), answer, examples)
    if any(map(_may_be_long, operation.get("parameters", ()))):
        answers["414"] = dict(_TOO_LONG)
    operation["responses"] = dict(sorted(answers.items()))


def _may_be_long(parameter: dict[str, Any]) -> bool:
    """Whether it is a text that the request line may have no room for; a character takes up to 12 there."""
    longest: int = parameter["schema"].get("maxLength", 0)
    return parameter["in"] == "query" and 12 * longest > LONGEST_REQUEST_LINE


def _fill_form(schema: dict[str, Any], examples: Examples) -> None:
    """Give every part but the file a value: what has none would be made up by the page that sends the form."""
    for name, part in schema["properties"].items():
        if part.get("format") != "binary" and "default" not in part:
            part["example"] = examples.form.get(name, "")


def _complete_parameter(parameter: dict[str, Any], examples: Examples) -> None:
    name, schema = parameter["name"], parameter["schema"]
    if name in _PAGING:
        parameter.setdefault("description", _PAGING[name])
    if parameter["in"] == "path" and _is_id(name):
        schema |= ID
    elif parameter["in"] == "path" and schema["type"] == "integer":
        schema |= {"minimum": 1, "maximum": 2**31 - 1}
    if name in examples.parameters:
        parameter["example"] = examples.parameters[name]


def _complete_answer(status: int, answer: dict[str, Any], examples: Examples) -> None:
    answer["description"] = answer.get("description") or HTTPStatus(status).phrase
    for name in ("X-Request-Id", _HEADER_OF.get(status)):
        if name:
            answer.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}
    shown = examples.answers.get(status) or ERRORS.get(status, {})
    for content in answer.get("content", {}).values():
        _show(content, shown)


def _show(content: dict[str, Any], examples: dict[str, Any]) -> None:
    if examples:
        content["examples"] = {
            summary.lower().replace(" ", "_"): {"summary": summary, "value": value}
            for summary, value in examples.items()
        }


def _with_values(document: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """Put what this server has in the place of what is made up."""
    text = json.dumps(document)
    for made_up, real in values.items():
        text = text.replace(made_up, real)
    result: dict[str, Any] = json.loads(text)
    return result
