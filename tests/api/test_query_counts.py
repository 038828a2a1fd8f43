"""How many SQL statements every endpoint of the API executes: exactly so many, however long its lists are.

Counted are statements and savepoints, not BEGIN and COMMIT. One of each count looks the key up. What a process
remembers of a team, and the minute's note that a key was used, are there before. Sync renders look as often as they
wait, so they are left out.
"""

import contextlib
import json
import re
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from renders import statements
from renders.models import Render
from renders.statements import StoredFile
from templates_app import blobs
from templates_app.assets import save_asset
from templates_app.models import Font, Template
from templates_app.services import add_version
from tests.api.test_fonts import FONT
from tests.api.test_route_permissions import OPEN_TO_ALL, PREFIX, routes_of_the_api
from tests.hostile.fonts import named
from tests.webhooks.deliveries import deliver, subscribe
from webhooks.models import Attempt, Delivery

READS = {
    "openapi.json": 0,
    "credits": 2,
    "credits/ledger?limit=100": 2,
    "credits/ledger?limit=100&kind=charge": 2,
    "credits/ledger?cursor={entry_id}": 3,
    "templates": 2,
    "templates?engine=typst": 2,
    "templates/{template_id}": 2,
    "templates/{template_id}/versions": 3,
    "templates/{template_id}/versions/1": 3,
    "templates/{template_id}/versions/1?file=a.csv": 3,
    "assets": 2,
    "assets?template_id={template_id}": 2,
    "assets/{asset_id}": 2,
    "assets/{asset_id}?download=true": 2,
    "fonts": 2,
    "fonts/{font_id}": 2,
    "fonts/{font_id}?download=true": 2,
    "font_families": 2,
    "renders?limit=100": 2,
    "renders?limit=100&status=pending&template_id={template_id}": 2,
    "renders?cursor={render_id}": 3,
    "renders/{render_id}": 3,
    "renders/{render_id}?download=true": 3,
    "jobs?limit=100": 3,
    "jobs?cursor={job_id}": 4,
    "jobs/{job_id}": 4,
    "webhooks": 2,
    "webhooks/{webhook_id}": 2,
    "webhooks/{webhook_id}/deliveries?limit=100": 3,
    "webhooks/{webhook_id}/deliveries?limit=100&status=failed": 3,
    "webhooks/{webhook_id}/deliveries?cursor={delivery_id}": 4,
    "webhook_deliveries/{delivery_id}": 3,
}


class Write(NamedTuple):
    """A request that changes something, its status, and its number of statements."""

    method: str
    path: str
    status: int
    count: int
    body: dict[str, Any] | None = None
    file: str | None = None
    key: str | None = None


FILES = {"a.csv": b"a,b", "a.ttf": FONT}
WRITES = [
    Write("POST", "renders", 202, 3, {"template_id": "{template_id}"}),
    Write("POST", "renders", 202, 4, {"template_id": "{template_id}"}, key="only-once"),
    Write("POST", "renders", 202, 3, {"template_id": "{template_id}"}, key="only-once"),  # answered again
    Write("POST", "templates", 201, 13, {"name": "A", "engine": "typst", "source": "Hi"}),
    Write("PATCH", "templates/{template_id}", 200, 6, {"name": "B"}),
    Write("PATCH", "templates/{template_id}", 200, 11, {"source": "Ho"}),
    Write("POST", "templates/{template_id}/publish", 200, 5),
    Write("POST", "assets", 201, 15, {}, "a.csv"),
    Write("POST", "assets", 201, 16, {"template_id": "{template_id}"}, "a.csv"),
    Write("POST", "fonts", 201, 10, {}, "a.ttf"),
    Write("DELETE", "assets/{asset_id}", 200, 4),
    Write("DELETE", "fonts/{font_id}", 200, 4),
    Write("DELETE", "renders/{render_id}", 200, 11),
    Write("POST", "templates/{template_id}/url_base", 200, 5),
    Write("POST", "templates/{template_id}/url_base", 200, 7),
    Write("POST", "sign", 200, 5, {"template_id": "{template_id}"}),
    Write("POST", "sign", 200, 3, {"template_id": "{template_id}"}),
    Write("POST", "sign", 200, 10, {"template_id": "{template_id}", "data": {"a": "1"}}, key="only-once"),
    Write("DELETE", "templates/{template_id}/url_base", 200, 6),
    Write("DELETE", "templates/{template_id}", 200, 5),
    Write("POST", "webhooks", 201, 6, {"url": "https://127.0.0.1:1", "events": ["render.failed"]}),
    Write("PATCH", "webhooks/{webhook_id}", 200, 5, {"url": "https://127.0.0.1:2"}),
    Write("POST", "webhooks/{webhook_id}/test", 202, 6),
    Write("POST", "webhooks/{webhook_id}/rotate_secret", 200, 5),
    Write("POST", "webhooks/{webhook_id}/rotate_secret", 200, 10, key="only-once"),
    Write("POST", "webhooks/{webhook_id}/redeliver", 202, 4, {"since": "2026-01-01T00:00:00Z"}),
    Write("POST", "webhook_deliveries/{delivery_id}/redeliver", 202, 5),
    Write("DELETE", "webhooks/{webhook_id}", 200, 5),
]


@contextlib.contextmanager
def executed():
    """The statements that this thread executes meanwhile."""
    seen: list[str] = []

    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen


@pytest.fixture
def ids(api, accept, request):
    """Give the team as many of everything as the test asks for, and return ids of some."""
    count = request.param
    template_ids = [api.template(name=f"Plan {n}") for n in range(count)]
    template = Template.objects.get(pk=template_ids[0])
    template.versions.update(files={"a.csv": blobs.put(api.team.id, b"a,b")})
    for n in range(count - 1):
        add_version(template=template, text=f"Plan {n}")
    for n in range(count):
        save_asset(team=api.team, actor="test", content=b"%d" % n, name=f"{n}.csv")
        asset, _ = save_asset(
            team=api.team, actor="test", content=b"x%d" % n, name=f"{n}.csv", template_id=template.id
        )
        font = add_font(api, f"Plan {n}")
        accept(api, template.id)
    render = complete(accept(api, template.id))
    delivery = add_webhooks(api, count)
    api.team.renders.update(job_id=render.job_id)  # one job has them all
    api.get("/api/v1/credits")
    return {
        "template_id": template.id,
        "asset_id": asset.id,
        "font_id": font.id,
        "render_id": render.id,
        "job_id": render.job_id,
        "webhook_id": delivery.subscription_id,
        "delivery_id": delivery.id,
        "entry_id": api.team.ledger_entries.last().pk,
    }


def add_webhooks(api, count: int) -> Delivery:
    """After the render, so that it tells them nothing; return the last delivery of the last one."""
    for _ in range(count):
        subscription = subscribe(api)
    for _ in range(count):
        delivery = deliver(subscription, status="failed")
    for number in range(count):
        Attempt.objects.create(delivery=delivery, claim=number, url="https://127.0.0.1:1")
    return delivery


def add_font(api, family: str) -> Font:
    """As an upload does, without a worker."""
    content = named(family, "Regular", family, family.replace(" ", ""), family)
    more = {"families": [family], "size_bytes": len(content), "sha256": blobs.put(api.team.id, content)}
    return Font.objects.create(team=api.team, filename="plan.ttf", **more)


def complete(render: Render) -> Render:
    taken = statements.claim(render.id, lease_seconds=60)
    file = StoredFile("pdf", f"renders/{render.id}.pdf", "application/pdf", 1, "0" * 64)
    assert statements.complete(taken, files=[file], pages=1, report={})
    return render


def test_every_route_has_a_count():
    counted = {("GET", _route(path)) for path in READS} | {(each.method, _route(each.path)) for each in WRITES}
    assert counted == routes_of_the_api() | OPEN_TO_ALL


def _route(path: str) -> str:
    plain = path.partition("?")[0].replace("versions/1", "versions/<int:number>")
    return re.sub(r"{(\w+)}", r"<id:\1>", plain)


@pytest.mark.parametrize("ids", [1, 30], indirect=True)
def test_reading(server, api, ids):
    found = {}
    for path in READS:
        with executed() as seen:
            answer = api.get(f"/{PREFIX}{path}".format(**ids))
        assert answer.status_code in {200, 302}, (path, answer.content)
        found[path] = len(seen)
    assert found == READS


@pytest.mark.parametrize("ids", [1, 30], indirect=True)
def test_writing(server, api, ids):
    found = []
    for write in WRITES:
        with executed() as seen:
            answer = _send(api, write, ids)
        assert answer.status_code == write.status, (write, answer.content)
        found.append(write._replace(count=len(seen)))
    assert found == WRITES


def _send(api, write: Write, ids: dict[str, str]):
    path = f"/{PREFIX}{write.path}".format(**ids)
    body = {
        name: value.format(**ids) if isinstance(value, str) else value for name, value in (write.body or {}).items()
    }
    headers = {"Idempotency-Key": write.key} if write.key else None
    if write.file is None:
        return api.send(write.method, path, json.dumps(body).encode() if write.body else b"", headers=headers)
    form = {**body, "file": SimpleUploadedFile(write.file, FILES[write.file])}
    return api.send(write.method, path, encode_multipart(BOUNDARY, form), MULTIPART_CONTENT)


def test_statement_for_each_row_would_be_seen(api):
    """The control: the count grows with the list where every row asks for something."""
    counts = []
    for _ in range(2):
        for _ in range(3):
            api.template()
        with executed() as seen:
            for template in api.team.templates.all():
                str(template.project)
        counts.append(len(seen))
    assert counts == [1 + 3, 1 + 6]
