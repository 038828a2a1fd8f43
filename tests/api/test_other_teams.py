"""An id of another team and an id of nobody get the same bytes, and a try leaves nothing behind."""

import itertools
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.models import Project
from automette.lib.ids import new_id
from templates_app.assets import save_asset
from templates_app.models import Font
from tests.webhooks.deliveries import deliver, subscribe


@pytest.fixture
def theirs(other_api, accept):
    """What the other team has, by the name of the field that may hold its id."""
    template_id = other_api.template(name="Secret plans")
    render = accept(other_api, template_id)
    return {
        "template_id": template_id,
        "render_id": render.id,
        "job_id": render.job_id,
        "asset_id": save_asset(team=other_api.team, actor="test", content=b"secret", name="secret.txt")[0].id,
        "font_id": Font.objects.create(team=other_api.team, filename="secret.ttf", size_bytes=1, sha256="0" * 64).id,
        "project_id": Project.objects.get(team=other_api.team).id,
        "webhook_id": (subscription := subscribe(other_api)).id,
        "delivery_id": deliver(subscription).id,
        "delivery_of_a_render_id": deliver(team=other_api.team, status="failed").id,
    }


READS = [
    "/api/v1/templates/{template_id}",
    "/api/v1/templates/{template_id}/versions",
    "/api/v1/templates/{template_id}/versions/1",
    "/api/v1/templates/{template_id}/versions/1?file=main.typ",
    "/api/v1/renders/{render_id}",
    "/api/v1/renders/{render_id}?download=true",
    "/api/v1/renders/{render_id}?download=true&format=pdf",
    "/api/v1/jobs/{job_id}",
    "/api/v1/jobs/{job_id}?cursor={render_id}",
    "/api/v1/assets/{asset_id}",
    "/api/v1/assets/{asset_id}?download=true",
    "/api/v1/fonts/{font_id}",
    "/api/v1/fonts/{font_id}?download=true",
    "/api/v1/webhooks/{webhook_id}",
    "/api/v1/webhooks/{webhook_id}/deliveries",
    "/api/v1/webhooks/{webhook_id}/deliveries?cursor={delivery_id}",
    "/api/v1/webhook_deliveries/{delivery_id}",
    "/api/v1/webhook_deliveries/{delivery_of_a_render_id}",
]
WRITES = [
    ("DELETE", "/api/v1/assets/{asset_id}"),
    ("DELETE", "/api/v1/fonts/{font_id}"),
    ("DELETE", "/api/v1/renders/{render_id}"),
    ("PATCH", "/api/v1/templates/{template_id}"),
    ("DELETE", "/api/v1/templates/{template_id}"),
    ("POST", "/api/v1/templates/{template_id}/publish"),
    ("POST", "/api/v1/templates/{template_id}/url_base"),
    ("DELETE", "/api/v1/templates/{template_id}/url_base"),
    ("PATCH", "/api/v1/webhooks/{webhook_id}"),
    ("DELETE", "/api/v1/webhooks/{webhook_id}"),
    ("POST", "/api/v1/webhooks/{webhook_id}/test"),
    ("POST", "/api/v1/webhooks/{webhook_id}/rotate_secret"),
    ("POST", "/api/v1/webhook_deliveries/{delivery_id}/redeliver"),
    ("POST", "/api/v1/webhook_deliveries/{delivery_of_a_render_id}/redeliver"),
]


@pytest.mark.parametrize(("method", "path"), [*itertools.product(["GET", "HEAD"], READS), *WRITES])
def test_id_in_a_path_tells_nothing(api, other_api, theirs, nothing_changes, path, method):
    nobodys = dict.fromkeys(theirs, new_id())
    with nothing_changes(api, other_api):
        real = api.send(method, path.format(**theirs))
        made_up = api.send(method, path.format(**nobodys))
    assert (real.status_code, real.content) == (made_up.status_code, made_up.content)
    assert (real.status_code, _told(real)) == (404, _told(made_up))
    if method != "HEAD":
        assert real.content == b'{"error":"Not found."}'


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/renders", {}, "template_id"),
        ("/api/v1/renders", {"async": False, "data": {"a": 1}}, "template_id"),
        ("/api/v1/templates", {"name": "A", "engine": "typst", "source": "Hi"}, "project_id"),
    ],
)
def test_id_in_a_body_tells_nothing(api, other_api, theirs, nothing_changes, path, body, field):
    with nothing_changes(api, other_api):
        real = api.post(path, {**body, field: theirs[field]})
        made_up = api.post(path, {**body, field: new_id()})
        shapeless = api.post(path, {**body, field: "x"})
    assert (real.status_code, real.content) == (404, b'{"error":"Not found."}')
    assert (real.content, _told(real)) == (made_up.content, _told(made_up))
    assert (real.content, _told(real)) == (shapeless.content, _told(shapeless))


def test_another_teams_project_in_a_change_tells_nothing(api, other_api, theirs, nothing_changes):
    path = f"/api/v1/templates/{api.template()}"
    with nothing_changes(api, other_api):
        real, made_up, shapeless = (
            api.send("PATCH", path, json.dumps({"project_id": each, "source": "Hi"}).encode())
            for each in (theirs["project_id"], new_id(), "x")
        )
    assert (real.status_code, real.content) == (404, b'{"error":"Not found."}')
    for other in (made_up, shapeless):
        assert (real.content, _told(real)) == (other.content, _told(other))


def test_id_in_a_form_tells_nothing(api, other_api, theirs, nothing_changes):
    def send(template_id):
        form = {"file": SimpleUploadedFile("a.txt", b"x"), "template_id": template_id}
        return api.send("POST", "/api/v1/assets", encode_multipart(BOUNDARY, form), MULTIPART_CONTENT)

    with nothing_changes(api, other_api):
        real, made_up, shapeless = (send(each) for each in (theirs["template_id"], new_id(), "x"))
    assert (real.status_code, real.content) == (404, b'{"error":"Not found."}')
    for other in (made_up, shapeless):
        assert (real.content, _told(real)) == (other.content, _told(other))


def test_team_without_credit_learns_nothing_either(new_api, other_api, theirs, nothing_changes):
    poor = new_api(credits=0)
    with nothing_changes(poor, other_api):
        answer = poor.post("/api/v1/renders", {"template_id": theirs["template_id"]})
    assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')


def test_another_teams_webhook_gets_nothing_again(api, theirs):
    body = {"since": "2026-01-01T00:00:00Z"}
    real = api.post(f"/api/v1/webhooks/{theirs['webhook_id']}/redeliver", body)
    made_up = api.post(f"/api/v1/webhooks/{new_id()}/redeliver", body)
    assert (real.status_code, real.content, _told(real)) == (404, b'{"error":"Not found."}', _told(made_up))
    assert real.content == made_up.content


def test_filter_by_another_teams_template_is_an_empty_list(api, theirs):
    real = api.get("/api/v1/renders", template_id=theirs["template_id"])
    made_up = api.get("/api/v1/renders", template_id=new_id())
    assert (real.status_code, real.content) == (200, b'{"renders":[],"next_cursor":null}')
    assert real.content == made_up.content


def test_filter_of_assets_by_another_teams_template_is_an_empty_list(api, theirs):
    real = api.get("/api/v1/assets", template_id=theirs["template_id"])
    made_up = api.get("/api/v1/assets", template_id=new_id())
    assert (real.status_code, real.content, made_up.content) == (200, b"[]", b"[]")


def test_another_teams_render_is_no_cursor(api, theirs):
    real = api.get("/api/v1/renders", cursor=theirs["render_id"])
    made_up = api.get("/api/v1/renders", cursor=new_id())
    assert (real.status_code, real.content) == (422, made_up.content)


def test_another_teams_job_is_no_cursor(api, theirs):
    real = api.get("/api/v1/jobs", cursor=theirs["job_id"])
    made_up = api.get("/api/v1/jobs", cursor=new_id())
    assert (real.status_code, real.content) == (422, made_up.content)


def test_lists_hold_the_own_team_only(api, other_api, theirs):
    mine = api.template(name="Mine")
    assert [template["id"] for template in api.get("/api/v1/templates").json()] == [mine]
    assert api.get("/api/v1/renders").json() == {"renders": [], "next_cursor": None}
    assert api.get("/api/v1/jobs").json() == {"jobs": [], "next_cursor": None}
    assert api.get("/api/v1/assets").json() == []
    assert api.get("/api/v1/fonts").json() == []
    assert api.get("/api/v1/webhooks").json() == []
    assert [template["name"] for template in other_api.get("/api/v1/templates").json()] == ["Secret plans"]


def _told(answer) -> dict:
    """The headers without the request's own id."""
    return {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
