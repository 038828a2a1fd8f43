"""Signed URLs, as a CDN or a visitor fetches them: requests per second of one web process.

Beside each stands the public file of the same document, which the application serves without a signature to check:
what is between them is what signing costs. All of them in turns, over four connections that stay open.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.application import application
from bench.load import Connection
from bench.measurements import percentile, spread

if TYPE_CHECKING:
    from bench.application import Application
    from bench.measurements import Say

_THREADS = 4
_ROUNDS = 5
_SECONDS = 2.0
_WARM_UP_SECONDS = 1.0
_SOURCE = '#set page(width: 12cm, height: 6.3cm)\n= Hello #data.at("name", default: "World")!\n#lorem(60)\n'


class _Visitor(Connection):
    """One connection that fetches the same address again and again."""

    def send(self, method: str, path: str, header: str = "", body: object = None) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        tail = self._get_tail.removesuffix("\r\n")
        self._socket.sendall(f"{method} {path}{tail}{header}{kind}\r\n".encode() + content)
        return self._answer()


def measure_ondemand(say: Say) -> dict[str, Any]:
    """Requests per second for whole files and for 304, with the time of one request."""
    say("starting web, worker and sweeper")
    with tempfile.TemporaryDirectory(prefix="automette-bench-") as folder, application(Path(folder)) as app:
        signed, public, etag, size = _make(app)
        known = f"If-None-Match: {etag}\r\n"
        kinds = {
            "signed": (signed, "", 200),
            "public": (public, "", 200),
            "signed_304": (signed, known, 304),
            "public_304": (public, known.replace(etag, _etag(app, public)), 304),
        }
        visitors = [_Visitor(app.target) for _ in range(_THREADS)]
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
        for turn in range(_ROUNDS):
            say(f"signed and public files, round {turn + 1} of {_ROUNDS}")
            for kind, asked in kinds.items():
                if turn == 0:
                    _round(visitors, *asked, seconds=_WARM_UP_SECONDS)
                found[kind].append(_round(visitors, *asked, seconds=_SECONDS))
    return {
        "bytes": size,
        "threads": _THREADS,
        **{
            kind: {
                "per_second": spread([one["per_second"] for one in rounds]),
                "p95_ms": spread([one["p95_ms"] for one in rounds]),
            }
            for kind, rounds in found.items()
        },
        "ratio": _ratio(found, "signed", "public"),
        "ratio_304": _ratio(found, "signed_304", "public_304"),
    }


def _ratio(found: dict[str, list[dict[str, float]]], mine: str, control: str) -> dict[str, float]:
    pairs = zip(found[mine], found[control], strict=True)
    return spread([one["per_second"] / other["per_second"] for one, other in pairs])


def _make(app: Application) -> tuple[str, str, str, int]:
    """The paths of a signed and of a public document, and the signed one's ETag and size."""
    caller = _Visitor(app.target)
    template = _json(caller, "/api/v1/templates", {"name": "Banner", "engine": "typst", "source": _SOURCE})
    _json(caller, f"/api/v1/templates/{template['id']}/url_base", {})
    asked = {"template_id": template["id"], "data": {"name": "Ada"}}
    signed = urlsplit(_json(caller, "/api/v1/sign", asked)["url"])
    public = urlsplit(_json(caller, "/api/v1/renders", {**asked, "async": False})["url"])
    path = f"{signed.path}?{signed.query}"
    status, content = caller.send("GET", path)  # waits until it is there
    if status != 200:
        raise RuntimeError(f"the signed document was answered with {status}")
    return path, public.path, _etag(app, path), len(content)


def _json(caller: _Visitor, path: str, body: object) -> dict[str, Any]:
    status, content = caller.send("POST", path, body=body)
    if status not in {200, 201}:
        raise RuntimeError(f"{path} was answered with {status}: {content[:300]!r}")
    return json.loads(content)


def _etag(app: Application, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{app.target.port}{path}", timeout=30) as answer:
        return answer.headers["ETag"]


def _round(visitors: list[_Visitor], path: str, header: str, status: int, *, seconds: float) -> dict[str, float]:
    walls: list[float] = []
    refused: list[int] = []
    end = time.perf_counter() + seconds

    def visit(visitor: _Visitor) -> None:
        while (begin := time.perf_counter()) < end:
            got, _ = visitor.send("GET", path, header)
            if got != status:
                refused.append(got)
                return
            walls.append(1000 * (time.perf_counter() - begin))

    threads = [threading.Thread(target=visit, args=(visitor,)) for visitor in visitors]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise RuntimeError(f"{path.partition('?')[0]} was answered with {refused}")
    return {"per_second": len(walls) / (time.perf_counter() - began), "p95_ms": percentile(walls, 95)}
