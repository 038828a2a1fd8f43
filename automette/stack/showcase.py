"""Render one document of each starter through the HTTP API, as a caller would, and show what came out."""

from __future__ import annotations

import http.client
import json
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS_PER_RENDER = 90.0
HEADINGS = ("TEMPLATE", "STATUS", "MS", "OPEN")


@dataclass(frozen=True, slots=True)
class Seed:
    """What `manage.py seed_demo --json` prints."""

    api_key: str
    operator: dict[str, str]
    templates: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the table: milliseconds from the request to the answer that holds the URL."""

    template: str
    status: str
    milliseconds: float
    url: str

    @property
    def good(self) -> bool:
        return self.status == "completed"


@dataclass(frozen=True, slots=True)
class Api:
    """The application on this machine: `port` on loopback, known to the outside as `public_url`."""

    port: int
    public_url: str
    key: str = ""

    def call(self, method: str, path: str, body: object = None, *, timeout: float = 10.0) -> tuple[int, bytes]:
        """Status and body of one request. Raises OSError or HTTPException where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Host": urlsplit(self.public_url).netloc, "Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def render_samples(api: Api, seed: Seed) -> list[Sample]:
    """One document of each template with its sample data: as PDF, or as Word where there is no LibreOffice."""
    formats = {} if _has_libreoffice(api) else {"formats": ["docx"]}  # other engines ignore it
    return [_render_sample(api, template, formats) for template in seed.templates]


def _has_libreoffice(api: Api) -> bool:
    try:
        _, content = api.call("GET", "/readyz")
        return bool(json.loads(content)["checks"]["libreoffice"]["ok"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return True  # whatever is wrong, the renders will tell it


def _render_sample(api: Api, template: dict[str, Any], formats: dict[str, list[str]]) -> Sample:
    begin = time.monotonic()
    order = {"template_id": template["id"], "data": template["data"], "async": False, **formats}
    try:
        code, content = api.call("POST", "/api/v1/renders", order, timeout=SECONDS_PER_RENDER)
        answer = json.loads(content)
        while answer.get("status") in ("pending", "running") and time.monotonic() - begin < SECONDS_PER_RENDER:
            time.sleep(0.1)
            code, content = api.call("GET", f"/api/v1/renders/{answer['id']}")
            answer = json.loads(content)
        milliseconds = (time.monotonic() - begin) * 1000
        url = answer.get("url") or ""
        status = answer.get("status") or f"HTTP {code}"
        if status == "completed":
            status = _look_at(api, url)
        return Sample(template["name"], status, milliseconds, url or answer.get("error") or "")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Sample(template["name"], "no answer", (time.monotonic() - begin) * 1000, str(error))


def _look_at(api: Api, url: str) -> str:
    """`completed` if the document can really be opened, as far as it is served here and not by a CDN."""
    if not url.startswith(f"{api.public_url}/"):
        return "completed"
    code, content = api.call("GET", url.removeprefix(api.public_url))
    return "completed" if code == http.client.OK and content else f"not served (HTTP {code})"


def table(samples: Sequence[Sample]) -> str:
    """The samples in columns."""
    rows = [HEADINGS, *((s.template, s.status, f"{s.milliseconds:.0f}", s.url) for s in samples)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {status:<{widths[1]}}  {milliseconds:>{widths[2]}}  {url}"
        for name, status, milliseconds, url in rows
    )


def curl(api: Api, seed: Seed) -> str:
    """A command to paste, for the template with the shortest sample data."""
    template = min(seed.templates, key=lambda template: len(json.dumps(template["data"])))
    order = {"template_id": template["id"], "data": template["data"], "async": False}
    body = shlex.quote(json.dumps(order, ensure_ascii=False))
    return (
        f"curl {api.public_url}/api/v1/renders \\\n"
        f"    -H 'Authorization: Bearer {seed.api_key}' -H 'Content-Type: application/json' \\\n"
        f"    -d {body}"
    )
