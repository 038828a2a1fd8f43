"""An application of its own for a module of hostile uploads, as its callers see it, and whether it is unharmed."""

import base64
import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
import requests

from accounts.models import Team
from accounts.services import create_api_key, create_team
from credits.services import open_account
from renders.models import Render
from tests.api.uploading import DOCX_TYPE
from tests.conftest import HELLO, Processes, is_ready, wait_until
from tests.docx.word_files import PNG, word_file
from tests.hostile.corpus import LEAKS
from tests.hostile.office import IS_INSTALLED
from tests.renders.faults import own_database
from workers.docx.office import INSTALL_HINT

CREDITS: Final = 1000
PATIENT: Final = {"SYNC_WAIT_SECONDS": "150", "LEASE_SECONDS": "100"}
"""What comes of a render is asked here, however long a busy machine takes for it."""
DOCUMENTED: Final = {"template_error", "resource_limit", "engine_error"}
"""Codes of renders that failed through what the caller sent."""


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


CARD: Final = {
    "width": 60,
    "height": 60,
    "layers": [{"type": "image", "src": data_uri(PNG), "field": "picture", "fit": "stretch"} | dict.fromkeys("xy", 0)
               | dict.fromkeys(("width", "height"), 60)],
}  # fmt: skip
_QUOTED: Final = re.compile(r"'[^']*'")


@dataclass(frozen=True)
class Caller:
    """A team of an application, over the network."""

    base: str
    team: Team
    key: str

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Ask, and see that no answer is a fault of the server or tells of its inside, whatever was sent."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.request(method, f"{self.base}/api/v1/{path}", headers=headers, timeout=200, **more)
        assert answer.status_code < 500, answer.text
        assert LEAKS.search(_QUOTED.sub("", answer.text)) is None, answer.text  # quoted is what the caller wrote
        return answer

    def upload(self, path: str, content: bytes, filename: str, **fields: str) -> requests.Response:
        return self.send("POST", path, data=fields, files={"file": (filename, content, "application/octet-stream")})

    def upload_word(self, content: bytes) -> requests.Response:
        file = ("letter.docx", content, DOCX_TYPE)
        return self.send("POST", "templates", data={"name": "Letter", "engine": "docx"}, files={"file": file})

    def word(self, content: bytes) -> str:
        return _id(self.upload_word(content))

    def template(self, source: str | dict[str, Any] = HELLO) -> str:
        engine = "typst" if isinstance(source, str) else "canvas"
        return _id(self.send("POST", "templates", json={"name": "A", "engine": engine, "source": source}))

    def render(self, template_id: str, **more: Any) -> requests.Response:
        return self.send("POST", "renders", json={"template_id": template_id, "async": False, **more})

    def completes(self, template_id: str, **more: Any) -> bytes | None:
        """Render, see that it ended as documented, and return the file; None when it failed."""
        return content_of(self.render(template_id, **more))

    def refused(self, template_id: str, **more: Any) -> str:
        """Render, see that it failed as documented and without cost, and return the sentence."""
        before = self.credits()
        answer = self.render(template_id, **more)
        assert content_of(answer) is None, answer.text
        assert self.credits() == before
        return str(answer.json()["error"])

    def credits(self) -> int:
        return int(self.send("GET", "credits").json()["credit_balance"])

    def paid_for_what_was_completed(self) -> bool:
        return self.credits() == CREDITS - self.team.renders.filter(status=Render.Status.COMPLETED).count()


def _id(answer: requests.Response) -> str:
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def content_of(answer: requests.Response) -> bytes | None:
    """The file of a render that was waited for, None when it failed with a sentence and a documented code."""
    body = answer.json()
    assert (answer.status_code, body["status"]) in {(200, "completed"), (422, "failed")}, body
    if answer.status_code == 200:
        return requests.get(body["url"], timeout=60).content
    assert 10 < len(body["error"]) <= 500, body
    assert Render.objects.get(pk=body["id"]).error_code in DOCUMENTED or body["error"] == INSTALL_HINT, body
    return None


@dataclass(frozen=True)
class Application:
    """Web, worker and sweeper on a database and a Redis that no other module shares."""

    base: str
    worker: Popen
    redis_url: str
    zygotes: dict[str, int]

    def caller(self) -> Caller:
        """A new team."""
        team = create_team(name="A team", actor="test")
        open_account(team=team, monthly_credits=CREDITS, overage_limit=0, actor="test")
        return Caller(self.base, team, create_api_key(team=team, actor="test")[1])

    def assert_unharmed(self) -> None:
        """The very worker, with the very zygotes, renders for a new team with every engine."""
        assert self.worker.poll() is None
        caller = self.caller()
        for template_id in (caller.template(), caller.template({**CARD, "layers": []})):
            assert caller.completes(template_id)
        letter = caller.word(word_file("Hello"))
        assert caller.completes(letter) or not IS_INSTALLED
        assert caller.completes(letter, formats=["docx"])
        assert caller.paid_for_what_was_completed()
        engines = wait_until(lambda: _is_at_rest(found := _engines(self.redis_url, self.worker)) and found)
        assert {name: each["zygote_pid"] for name, each in engines.items()} == self.zygotes


def _engines(redis_url: str, worker: Popen) -> dict[str, Any]:
    """What the worker last reported of its engines; empty before its first report."""
    with redis.Redis.from_url(redis_url) as client:
        found = [client.get(key) for key in client.scan_iter(f"automette:worker:*:{worker.pid}")]
    return json.loads(found[0])["engines"] if found and found[0] else {}


def _is_at_rest(engines: dict[str, Any]) -> bool:
    return bool(engines) and all(each["running"] and not each["working"] for each in engines.values())


@contextlib.contextmanager
def running(folder: Path, redis_database: int, **limits: str) -> Iterator[Application]:
    """Start an application on a database and a Redis database of its own, and end it.

    The session's own sweeper would ring for what waits here for some seconds, and the session's own worker would
    render it, with other limits.
    """
    url = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{redis_database}").geturl()
    with own_database() as database_url:
        own = {"REDIS_URL": url, "DATABASE_URL": database_url}
        started = Processes(folder)
        try:
            base = started.web(**own, **PATIENT)
            worker = started.worker(**own, **PATIENT, **limits)
            started.sweeper(**own)
            wait_until(lambda: is_ready(base) or worker.poll() is not None, 100)
            engines = wait_until(lambda: _engines(url, worker))
            yield Application(base, worker, url, {name: each["zygote_pid"] for name, each in engines.items()})
        except pytest.fail.Exception:
            print(*(f"--- {one.log}\n{one.log.read_text()[-3000:]}" for one in started.running), sep="\n")
            raise
        finally:
            started.stop()
