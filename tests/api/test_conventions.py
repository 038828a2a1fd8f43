import re
import time

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"c[a-z0-9]{24}")


@pytest.fixture
def answers(api):
    """The body of every resource: (what it is, the object)."""
    template_id = api.template()
    render_id = api.post("/api/v1/renders", {"template_id": template_id}).json()["id"]
    return {
        "template": api.get(f"/api/v1/templates/{template_id}").json(),
        "template in the list": api.get("/api/v1/templates").json()[0],
        "render": api.get(f"/api/v1/renders/{render_id}").json(),
        "render in the list": api.get("/api/v1/renders").json()["renders"][0],
        "new render": api.post("/api/v1/renders", {"template_id": template_id}).json(),
        "credits": api.get("/api/v1/credits").json(),
    }


def test_every_time_is_utc_with_three_decimals(answers):
    times = {
        f"{what}.{key}": value
        for what, body in answers.items()
        for key, value in body.items()
        if key.endswith(("_at", "_until")) and value is not None
    }
    assert len(times) == 9
    assert [name for name, value in times.items() if not TIMESTAMP.fullmatch(value)] == []


def test_every_id_has_the_shape_of_a_cuid(answers):
    ids = [value for body in answers.values() for key, value in body.items() if key in {"id", "template_id"}]
    assert len(ids) == 8
    assert [value for value in ids if not ID.fullmatch(value)] == []


def test_self_is_the_address_of_the_resource(answers):
    for what, body in answers.items():
        if what != "credits":
            kind = "templates" if what.startswith("template") else "renders"
            assert body["self"] == f"http://localhost:8000/api/v1/{kind}/{body['id']}"


def test_self_leads_to_the_resource(api, answers):
    for what in ("template", "render"):
        answer = api.get(answers[what]["self"].removeprefix("http://localhost:8000"))
        assert (answer.status_code, answer.json()["id"]) == (200, answers[what]["id"])


def test_later_ids_sort_after_earlier_ones(api):
    ids = []
    for _ in range(5):
        ids.append(api.template())
        time.sleep(0.002)  # ids tell milliseconds apart
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/credits"),
        ("GET", "/api/v1/templates"),
        ("GET", "/api/v1/renders"),
        ("GET", "/api/v1/nowhere"),
        ("POST", "/api/v1/renders"),
        ("GET", "/api/v1/openapi.json"),
    ],
)
def test_api_neither_sets_a_cookie_nor_varies_by_one(api, method, path):
    answer = api.send(method, path, headers={"Cookie": f"sessionid={'a' * 32}; csrftoken={'b' * 32}"})
    assert not answer.cookies
    assert "cookie" not in answer.headers.get("Vary", "").lower()


def test_session_of_an_operator_opens_nothing_of_the_api(api):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser(f"operator-{api.team.id}", password="x"))
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/v1/credits").status_code == 401


def test_answers_are_json_in_utf8_and_not_to_be_guessed_at(api):
    api.template(name="Ürkünde 证书 🎓")
    answer = api.get("/api/v1/templates")
    assert "Ürkünde 证书 🎓".encode() in answer.content
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
