from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from automette.lib import spare_redis
from renders import statements
from renders.models import Render
from tests.conftest import HELLO, Api, wait_until

FOR_EVER = "public, max-age=31536000, immutable"
BANNER = {
    "width": 120,
    "height": 60,
    "layers": [
        {"type": "rect", "x": 0, "y": 0, "width": 120, "height": 60, "fill": "#0b6e4f"},
        {"type": "text", "x": 8, "y": 20, "width": 104, "height": 24, "text": "{{name|World}}", "font_size": 16},
    ],
}


class Signed(NamedTuple):
    """An answer to a signing, and the path and query of its URL."""

    url: str
    path: str
    render: Render


class Signer:
    """Templates with a URL base, and what is signed under it."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def template(self, source: Any = HELLO, **more: Any) -> str:
        template_id = self.api.template(source, **more)
        self.base(template_id)
        return template_id

    def base(self, template_id: str) -> str:
        answer = self.api.post(f"/api/v1/templates/{template_id}/url_base")
        assert answer.status_code == 200, answer.content
        return answer.json()["url_base"]

    def sign(self, template_id: str, data: dict[str, str] | None = None) -> Signed:
        answer = self.api.post("/api/v1/sign", {"template_id": template_id, "data": data or {}})
        assert answer.status_code == 200, answer.content
        url = answer.json()["url"]
        path = url.removeprefix(settings.PUBLIC_URL)
        return Signed(url, path, self.api.team.renders.order_by("-id").first())

    def finished(self, template_id: str, data: dict[str, str] | None = None) -> Signed:
        """Sign and wait until the worker has ended the render."""
        signed = self.sign(template_id, data)
        wait_until(lambda: Render.objects.get(pk=signed.render.pk).is_finished, 100)
        return signed._replace(render=Render.objects.get(pk=signed.render.pk))


@pytest.fixture
def signer(api) -> Signer:
    return Signer(api)


@pytest.fixture
def fetch():
    """What a visitor gets: no key, no cookie."""
    client, answers = Client(raise_request_exception=False), []

    def ask(path: str, method: str = "GET", **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answers.append(client.generic(method, path, headers=named))
        return answers[-1]

    yield ask
    for answer in answers:
        answer.close()  # as a visitor who goes away


@pytest.fixture(autouse=True)
def _patience(database, monkeypatch):
    """Nothing fails, and nobody passes uncounted, because a busy machine keeps a thread waiting for a server."""
    monkeypatch.setattr(connection.pool, "timeout", 60)
    monkeypatch.setattr(spare_redis, "PATIENCE_SECONDS", 60.0)
    spare_redis._at.cache_clear()
    yield
    spare_redis._at.cache_clear()


@pytest.fixture
def no_worker(monkeypatch):
    """Nobody is rung for, not even by a sweeper: what is signed stays pending until the test ends it."""
    never = statements._ACCEPT.replace("interval '5 seconds'", "interval '1 year'")
    assert never != statements._ACCEPT
    monkeypatch.setattr(statements, "_ACCEPT", never)
    monkeypatch.setattr("renders.services.send_after_commit", lambda *_, **__: None)
    monkeypatch.setattr("ondemand.fetching.send", lambda *_, **__: True)


def end(render: Render, *, error: str | None = None, content: statements.StoredFile | None = None) -> None:
    """End a render as a worker does."""
    taken = statements.claim(render.id, lease_seconds=60)
    assert taken is not None
    if error is not None:
        assert statements.fail(render.id, attempt=taken.attempt, error=error, code="template_error")
        return
    file = content or statements.StoredFile(
        render.format, f"secure/{render.id}-1.{render.format}", "application/pdf", 5, "0" * 64
    )
    assert statements.complete(taken, files=[file], pages=1, report={})


def body_of(answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content
