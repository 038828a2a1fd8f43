import time

import pytest


def test_list_is_a_bare_array_oldest_first(api):
    assert api.get("/api/v1/templates").json() == []
    ids = []
    for name in ("b", "c", "a"):
        ids.append(api.template(name=name))
        time.sleep(0.002)  # ids tell milliseconds apart
    listed = api.get("/api/v1/templates").json()
    assert [(template["id"], template["name"]) for template in listed] == list(zip(ids, ("b", "c", "a"), strict=True))


def test_item_has_the_documented_keys(api):
    template_id = api.template(name="Letter")
    (item,) = api.get("/api/v1/templates").json()
    assert item == {
        "id": template_id,
        "name": "Letter",
        "slug": None,
        "engine": "typst",
        "self": f"http://localhost:8000/api/v1/templates/{template_id}",
        "allowed_formats": ["pdf", "png", "svg"],
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }


@pytest.mark.parametrize(("engine", "count"), [("typst", 1), ("canvas", 0), ("docx", 0)])
def test_filter_by_engine(api, engine, count):
    api.template()
    answer = api.get("/api/v1/templates", engine=engine)
    assert (answer.status_code, len(answer.json())) == (200, count)


@pytest.mark.parametrize("engine", ["", "latex", "TYPST", "typst,docx", "\x00", "\U0001f600"])
def test_another_engine_is_422(api, engine):
    answer = api.get("/api/v1/templates", engine=engine)
    assert (answer.status_code, answer.json()) == (422, {"error": "engine: Must be one of: typst, canvas, docx."})


def test_unknown_query_parameters_are_ignored(api):
    assert api.get("/api/v1/templates", color="red").status_code == 200
