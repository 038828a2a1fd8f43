"""A deleted template is gone for callers; its renders are not."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from renders import statements
from renders.models import Render
from templates_app.deleted_templates import delete_assets
from templates_app.models import Template
from templates_app.services import add_version
from tests.api.asset_calls import upload


def delete(api, template_id):
    return api.send("DELETE", f"/api/v1/templates/{template_id}", content_type="")


def test_answer_is_json_and_a_second_call_finds_nothing(api):
    template_id = api.template()
    answer = delete(api, template_id)
    assert (answer.status_code, answer.json()) == (200, {"id": template_id, "deleted": True})
    assert delete(api, template_id).status_code == 404
    entries = AuditEntry.objects.filter(subject=template_id, action="template.deleted")
    assert [(entry.actor, entry.detail) for entry in entries] == [(str(api.team.api_keys.get()), {"name": "Hello"})]


def test_it_is_gone_everywhere(api, nothing_changes):
    template_id, other_id = api.template(), api.template()
    path = f"/api/v1/templates/{template_id}"
    delete(api, template_id)
    assert [each["id"] for each in api.get("/api/v1/templates").json()] == [other_id]
    with nothing_changes(api):
        for answer in (
            api.get(path),
            api.send("PATCH", path, b'{"name": "New"}'),
            api.send("PATCH", path, b'{"source": "New"}'),
            api.get(f"{path}/versions"),
            api.get(f"{path}/versions/1"),
            api.post(f"{path}/publish"),
            api.post("/api/v1/renders", {"template_id": template_id}),
            api.post("/api/v1/renders", {"template_id": template_id, "async": False}),
        ):
            assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')


def test_finished_render_stays_readable_with_its_file(server, api):
    template_id = api.template(name="Letter")
    _, body = api.render(template_id)
    delete(api, template_id)
    render = api.get(f"/api/v1/renders/{body['id']}").json()
    assert (render["status"], render["template_id"], render["template_name"]) == ("completed", template_id, "Letter")
    assert api.get(f"/api/v1/renders/{body['id']}", download="true").status_code == 302
    listed = api.get("/api/v1/renders", template_id=template_id).json()["renders"]
    assert [each["id"] for each in listed] == [body["id"]]


def test_render_under_way_is_finished_with_the_templates_own_files(server, api, accept):
    template_id = api.template()
    upload(api, b"own", template_id=template_id, name="own.txt")
    add_version(template=Template.objects.get(pk=template_id), text='#assert.eq(read("own.txt"), "own")')
    render = accept(api, template_id)
    delete(api, template_id)
    taken = statements.claim(render.id, lease_seconds=60)
    assert [asset.name for asset in taken.assets] == ["own.txt"]
    assert "own.txt" in taken.source
    assert statements.give_back(taken, pause_seconds=0)
    assert Render.objects.get(pk=render.id).status == "pending"


def test_its_assets_are_gone_and_the_teams_stay(api):
    template_id = api.template()
    own = upload(api, template_id=template_id, name="own.txt")
    teams = upload(api, name="teams.txt")
    delete(api, template_id)
    assert [each["id"] for each in api.get("/api/v1/assets").json()] == [teams["id"]]
    assert api.get("/api/v1/assets", template_id=template_id).json() == []
    assert api.get(f"/api/v1/assets/{own['id']}").status_code == 404
    assert api.send("DELETE", f"/api/v1/assets/{own['id']}").status_code == 404


def test_its_slug_is_free_again(api):
    delete(api, api.template(slug="letter"))
    assert api.template(slug="letter")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"anything": 1}'])
def test_body_does_not_matter(api, body):
    assert api.send("DELETE", f"/api/v1/templates/{api.template()}", body).status_code == 200


def test_its_assets_are_removed_once_no_render_needs_them(api, accept):
    busy, idle = api.template(), api.template()
    for template_id in (busy, idle):
        upload(api, template_id=template_id, name="own.txt")
    upload(api, name="teams.txt")
    render = accept(api, busy)
    for template_id in (busy, idle):
        delete(api, template_id)
    delete_assets()
    assert api.team.assets.count() == 3  # a render may be on its way
    Template.objects.filter(team=api.team).update(deleted_at=timezone.now() - dt.timedelta(minutes=2))
    for _ in range(2):
        delete_assets()
        left = api.team.assets.order_by("id").values_list("template_id", flat=True)
        assert list(left) == [busy, None]
    taken = statements.claim(render.id, lease_seconds=60)
    assert statements.fail(render.id, attempt=taken.attempt, error="x", code="x")
    delete_assets()
    assert [asset.template_id for asset in api.team.assets.all()] == [None]
