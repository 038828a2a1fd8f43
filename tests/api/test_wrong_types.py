"""Every field of every body, with a value of each wrong type: a documented status and nothing changed."""

import json

import pytest

VALUES = [None, True, 0, 1.5, -1, 10**4000, "", "x", "\U0001f600", [], ["pdf"], [[]], {}, {"a": 1}]
NOT_TEXT = [value for value in VALUES if not isinstance(value, str)]
TEXT_OR_NULL = [value for value in NOT_TEXT if value is not None]

# For each field the values of VALUES that it does not take, and whether null (and "") count as missing: 400.
RENDER_FIELDS = {
    "template_id": ([*NOT_TEXT, ""], True),
    "data": ([value for value in VALUES if not isinstance(value, dict)], False),
    "visibility": (VALUES, False),
    "async": ([value for value in VALUES if value is not True], False),
    "format": (VALUES, False),
    "options": ([value for value in VALUES if not isinstance(value, dict)], False),
    "webhook_url": ([*TEXT_OR_NULL, "", "x"], False),
    "filename_pattern": ([*TEXT_OR_NULL, ""], False),
    "expires_in": ([value for value in VALUES if value is not None], False),
}
TEMPLATE_FIELDS = {
    "name": ([*NOT_TEXT, ""], True),
    "engine": ([value for value in VALUES if value != ""], True),
    "source": ([*NOT_TEXT, ""], True),
    "project_id": ([*NOT_TEXT, ""], False),
    "filename_pattern": (NOT_TEXT, False),
}


def cases(fields) -> list:
    return [
        pytest.param(field, value, 400 if required and value in (None, "") else 422, id=f"{field}={value!r:.20}")
        for field, (values, required) in fields.items()
        for value in values
    ]


def _refused(answer):
    return answer.status_code, answer.json()["error"].partition(":")[0]


@pytest.mark.parametrize(("field", "value", "status"), cases(RENDER_FIELDS))
def test_wrong_type_in_a_render_is_refused(api, nothing_changes, field, value, status):
    body = {"template_id": api.template(), field: value}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert _refused(answer) == (status, field), answer.content[:300]


@pytest.mark.parametrize(("field", "value", "status"), cases(TEMPLATE_FIELDS))
def test_wrong_type_in_a_template_is_refused(api, nothing_changes, field, value, status):
    body = {"name": "A", "engine": "typst", "source": "Hi", field: value}
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body)
    assert _refused(answer) == (status, field), answer.content[:300]


@pytest.mark.parametrize("path", ["/api/v1/renders", "/api/v1/templates"])
@pytest.mark.parametrize(
    "value", [value for value in VALUES if not isinstance(value, dict)], ids=lambda v: f"{v!r:.20}"
)
def test_body_that_is_no_object_is_400(api, nothing_changes, path, value):
    with nothing_changes(api):
        answer = api.send("POST", path, json.dumps(value).encode())
    assert (answer.status_code, answer.json()) == (400, {"error": "The body must be a JSON object."})


@pytest.mark.parametrize("field", ["webhook_url", "filename_pattern", "expires_in"])
def test_null_stands_for_nothing_where_the_answer_may_say_null(api, field):
    assert api.post("/api/v1/renders", {"template_id": api.template(), field: None}).status_code == 202


def test_unknown_keys_are_ignored(api):
    body = {
        "template_id": api.template(),
        "formats": ["pdf"],
        "nonsense": {"a": [None]},
        "self": 1,
        "": "",
        "id": "x",
    }
    answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()["data"], api.credits()) == (202, {}, 99)
