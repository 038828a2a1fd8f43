"""Every field of every body, with a value of each wrong type: a documented status and nothing changed."""

import pytest

VALUES = [None, True, 0, 1.5, -1, 10**4000, "", "x", "\U0001f600", [], ["pdf"], [[]], {}, {"a": 1}]

# For each field: what it takes, and whether it must be there (then null and "" count as missing: 400).
RENDER_FIELDS = {
    "template_id": (str, True),
    "data": (dict, False),
    "visibility": ({"public", "secure"}, False),
    "async": (bool, False),
    "format": ({"pdf", "png", "svg"}, False),
    "options": (dict, False),
    "webhook_url": ({None, "https://receiver.example/"}, False),
    "filename_pattern": ({None, "x", "\U0001f600"}, False),
}
TEMPLATE_FIELDS = {
    "name": (str, True),
    "engine": ({"typst"}, True),
    "source": (str, True),
    "project_id": (str, False),
    "filename_pattern": (str, False),
}


def is_taken(accepted, value) -> bool:
    return (
        value in accepted
        if isinstance(accepted, set) and _hashable(value)
        else (isinstance(accepted, type) and isinstance(value, accepted))
    )


def _hashable(value) -> bool:
    return not isinstance(value, list | dict)


def name_of(value) -> str:
    return repr(value)[:20]


@pytest.mark.parametrize("value", VALUES, ids=name_of)
@pytest.mark.parametrize("field", RENDER_FIELDS)
def test_wrong_type_in_a_render_is_refused(api, nothing_changes, field, value):
    accepted, required = RENDER_FIELDS[field]
    if is_taken(accepted, value) and not (required and value == ""):
        value = {"not": {str: "a string", dict: "an object", bool: "a boolean"}.get(accepted, "a word")}
        value = list(value) if accepted is dict else value
    body = {"template_id": api.template(), field: value}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    expected = 400 if required and value in (None, "") else 422
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (expected, field), answer.content[:300]


@pytest.mark.parametrize("value", VALUES, ids=name_of)
@pytest.mark.parametrize("field", TEMPLATE_FIELDS)
def test_wrong_type_in_a_template_is_refused(api, nothing_changes, field, value):
    accepted, required = TEMPLATE_FIELDS[field]
    if is_taken(accepted, value) and not (required and value == ""):
        value = {"not": "a string"}
    body = {"name": "A", "engine": "typst", "source": "Hi", field: value}
    with nothing_changes(api):
        answer = api.post("/api/v1/templates", body)
    missing = (None, "") if field != "engine" else (None,)
    expected = 400 if required and value in missing else 422
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (expected, field), answer.content[:300]


@pytest.mark.parametrize("path", ["/api/v1/renders", "/api/v1/templates"])
@pytest.mark.parametrize("value", [value for value in VALUES if not isinstance(value, dict)], ids=name_of)
def test_body_that_is_no_object_is_400(api, nothing_changes, path, value):
    import json

    with nothing_changes(api):
        answer = api.send("POST", path, json.dumps(value).encode())
    assert (answer.status_code, answer.json()) == (400, {"error": "The body must be a JSON object."})


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
