"""Every route of the API x every kind of key. Routes come from the URL configuration: a new one needs an entry."""

import datetime as dt
import json
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import get_resolver
from django.utils import timezone

from accounts.keys import new_key
from accounts.models import ApiKey, Project
from accounts.services import create_api_key, revoke_api_key
from automette.lib.ids import new_id
from ondemand.services import replace_url_base
from templates_app import blobs
from templates_app.assets import save_asset
from templates_app.models import Font
from tests.webhooks.deliveries import deliver, subscribe

PREFIX = "api/v1/"


class Entry(NamedTuple):
    """A request about things of the team `right`, and the statuses for its own and another team's key."""

    right: int
    other: int
    body: dict[str, Any] | None = None
    file: bytes | None = None  # sent together with the body, as a form


OPEN_TO_ALL = {("GET", "openapi.json")}
ROUTES = {
    ("GET", "credits"): Entry(200, 200),
    ("GET", "credits/ledger"): Entry(200, 200),
    ("GET", "templates"): Entry(200, 200),
    ("POST", "templates"): Entry(
        201, 404, {"name": "A", "engine": "typst", "source": "Hi", "project_id": "{project_id}"}
    ),
    ("GET", "templates/<id:template_id>"): Entry(200, 404),
    ("PATCH", "templates/<id:template_id>"): Entry(200, 404, {"name": "Plan Y"}),
    ("DELETE", "templates/<id:template_id>"): Entry(200, 404),
    ("POST", "templates/<id:template_id>/publish"): Entry(200, 404),
    ("GET", "templates/<id:template_id>/versions"): Entry(200, 404),
    ("GET", "templates/<id:template_id>/versions/<int:number>"): Entry(200, 404),
    ("POST", "templates/<id:template_id>/url_base"): Entry(200, 404),
    ("DELETE", "templates/<id:template_id>/url_base"): Entry(200, 404),
    ("POST", "sign"): Entry(200, 404, {"template_id": "{template_id}"}),
    ("GET", "assets"): Entry(200, 200),
    ("POST", "assets"): Entry(201, 404, {"template_id": "{template_id}"}, file=b"a,b"),
    ("GET", "assets/<id:asset_id>"): Entry(200, 404),
    ("DELETE", "assets/<id:asset_id>"): Entry(200, 404),
    ("GET", "fonts"): Entry(200, 200),
    ("POST", "fonts"): Entry(422, 422, file=b"no font"),
    ("GET", "fonts/<id:font_id>"): Entry(200, 404),
    ("DELETE", "fonts/<id:font_id>"): Entry(200, 404),
    ("GET", "font_families"): Entry(200, 200),
    ("GET", "renders"): Entry(200, 200),
    ("POST", "renders"): Entry(202, 404, {"template_id": "{template_id}"}),
    ("GET", "renders/<id:render_id>"): Entry(200, 404),
    ("DELETE", "renders/<id:render_id>"): Entry(200, 404),
    ("GET", "jobs"): Entry(200, 200),
    ("GET", "jobs/<id:job_id>"): Entry(200, 404),
    ("GET", "webhooks"): Entry(200, 200),
    ("POST", "webhooks"): Entry(422, 422, {"url": "https://127.0.0.1:1", "events": "{webhook_id}"}),
    ("GET", "webhooks/<id:webhook_id>"): Entry(200, 404),
    ("PATCH", "webhooks/<id:webhook_id>"): Entry(200, 404, {"url": "https://127.0.0.1:1"}),
    ("DELETE", "webhooks/<id:webhook_id>"): Entry(200, 404),
    ("POST", "webhooks/<id:webhook_id>/test"): Entry(202, 404),
    ("POST", "webhooks/<id:webhook_id>/rotate_secret"): Entry(200, 404),
    ("GET", "webhooks/<id:webhook_id>/deliveries"): Entry(200, 404),
    ("POST", "webhooks/<id:webhook_id>/redeliver"): Entry(202, 404, {"since": "2026-01-01T00:00:00Z"}),
    ("GET", "webhook_deliveries/<id:delivery_id>"): Entry(200, 404),
    ("POST", "webhook_deliveries/<id:delivery_id>/redeliver"): Entry(202, 404),
}
ANSWERED_BY_A_WORKER = {("GET", "font_families"), ("POST", "templates")}
METHODS = ("get", "post", "put", "patch", "delete")


def routes_of_the_api() -> set[tuple[str, str]]:
    found = set()
    for pattern in get_resolver().url_patterns:
        route = str(pattern.pattern)
        if not route.startswith("api/"):
            continue
        assert route.startswith(PREFIX), f"{route} is outside of {PREFIX}"
        view = pattern.callback.view_class
        found |= {(method.upper(), route.removeprefix(PREFIX)) for method in METHODS if hasattr(view, method)}
    return found


def test_every_route_has_an_entry_and_every_entry_a_route():
    assert routes_of_the_api() == set(ROUTES) | OPEN_TO_ALL


@pytest.fixture(autouse=True)
def _worker(request):
    """Start the application where a worker has to answer."""
    values = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if (values.get("method"), values.get("route")) in ANSWERED_BY_A_WORKER:
        request.getfixturevalue("server")


class World(NamedTuple):
    right: Any
    ids: dict[str, str]
    keys: dict[str, str | None]


@pytest.fixture
def world(api, other_api, accept) -> World:
    template_id = api.template(name="Plan X")
    render = accept(api, template_id)
    project = Project.objects.get(team=api.team)
    _, expired = create_api_key(team=api.team, actor="t", expires_at=timezone.now() - dt.timedelta(seconds=1))
    row, revoked = create_api_key(team=api.team, actor="test")
    revoke_api_key(api_key=row, actor="test")
    swapped = api.key[:-1] + ("0" if api.key[-1] != "0" else "1")
    _, deleted = create_api_key(team=api.team, actor="test")
    ApiKey.objects.filter(team=api.team).order_by("-id").first().delete()
    keys = {
        "no key": None,
        "empty": "",
        "wrong scheme": f"Basic {api.key}",
        "no scheme": api.key,
        "scheme only": "Bearer",
        "two keys": f"Bearer {api.key} {api.key}",
        "malformed": "Bearer dg_nonsense",
        "not ASCII": f"Bearer dg_{'ü' * 49}",
        "bad checksum": f"Bearer {swapped}",
        "revoked": f"Bearer {revoked}",
        "expired": f"Bearer {expired}",
        "deleted": f"Bearer {deleted}",
        "other team's": f"Bearer {other_api.key}",
        "right": f"Bearer {api.key}",
    }
    asset, _ = save_asset(team=api.team, actor="test", content=b"Plan X", name="a.txt")
    sha256 = blobs.put(api.team.id, b"Plan X")  # a worker that compiles for the team fetches its fonts
    font = Font.objects.create(team=api.team, filename="Plan X.ttf", families=["Plan X"], size_bytes=6, sha256=sha256)
    ids = {"template_id": template_id, "render_id": render.id, "project_id": project.id, "asset_id": asset.id}
    ids["job_id"] = render.job_id
    ids["font_id"] = font.id
    replace_url_base(team=api.team, actor="test", template_id=template_id)
    subscription = subscribe(api)
    ids |= {"webhook_id": subscription.id, "delivery_id": deliver(subscription).id}
    return World(api, ids, keys)


def send(world: World, method: str, route: str, key: str | None):
    path, entry = f"/{PREFIX}{route}", ROUTES[method, route]
    for name, value in world.ids.items():
        path = path.replace(f"<id:{name}>", value)
    path = path.replace("<int:number>", "1")
    assert "<" not in path, f"an id of {route} is missing in the world"
    body = {name: str(value).format(**world.ids) for name, value in (entry.body or {}).items()}
    headers = {} if key is None else {"Authorization": key}
    content, content_type = json.dumps(body).encode() if entry.body else b"", "application/json"
    if entry.file is not None:
        file = SimpleUploadedFile("a.bin", entry.file)
        content, content_type = encode_multipart(BOUNDARY, {**body, "file": file}), MULTIPART_CONTENT
    return world.right._client.generic(method, path, content, content_type, headers=headers)


REFUSED_KEYS = [
    "no key",
    "empty",
    "wrong scheme",
    "no scheme",
    "scheme only",
    "two keys",
    "malformed",
    "not ASCII",
    "bad checksum",
    "revoked",
    "expired",
    "deleted",
]


@pytest.mark.parametrize(("method", "route"), sorted(ROUTES))
def test_no_key_but_the_teams_opens_a_route(world, other_api, nothing_changes, method, route):
    with nothing_changes(world.right, other_api):
        for kind in REFUSED_KEYS:
            answer = send(world, method, route, world.keys[kind])
            assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (401, "Bearer"), kind
            assert list(answer.json()) == ["error"], kind
            assert not any(value in answer.content.decode() for value in world.ids.values()), kind
        answer = send(world, method, route, world.keys["other team's"])
        assert answer.status_code == ROUTES[method, route].other
        assert not any(value in answer.content.decode() for value in [*world.ids.values(), "Plan X"])


@pytest.mark.parametrize(("method", "route"), sorted(ROUTES))
def test_the_teams_key_opens_it(world, method, route):
    assert send(world, method, route, world.keys["right"]).status_code == ROUTES[method, route].right


@pytest.mark.parametrize(("method", "route"), sorted(OPEN_TO_ALL))
def test_open_routes_need_no_key_and_take_none_amiss(world, method, route):
    for key in world.keys.values():
        headers = {} if key is None else {"Authorization": key}
        assert world.right._client.generic(method, f"/{PREFIX}{route}", headers=headers).status_code == 200


def test_unknown_key_of_the_right_form_is_refused_like_a_revoked_one(world):
    answers = {send(world, "GET", "credits", key).content for key in (world.keys["revoked"], f"Bearer {new_key()}")}
    assert answers == {b'{"error":"This API key is not known, has expired or was revoked."}'}


def test_ids_that_nobody_has_are_refused_after_the_key(world):
    client = world.right._client
    assert client.get(f"/{PREFIX}renders/{new_id()}").status_code == 401
