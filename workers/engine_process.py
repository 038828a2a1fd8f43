"""The inside of an engine child: confine, open the engine, then answer one request after the other.

Everything in here may be in the hands of a hostile template. The pool believes nothing that it says beyond the bytes
of the document, and those only within limits.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from workers.engines.needs import ROOT, ChildNeeds
from workers.engines.typst_messages import is_memory
from workers.errors import EngineError, LimitExceededError, RemoteFilesNeededError, RenderError, TemplateError
from workers.frames import BrokenFrameError, receive_frame, send_frame
from workers.isolation.confinement import Profile, confine

MAX_REQUEST_BYTES = 64 << 20

_OUT_OF_MEMORY = {"error": LimitExceededError.code, "memory": True, "last": True}


class Engine(Protocol):
    """What an engine offers; built in the zygote with a folder of fonts and one of Typst packages."""

    @classmethod
    def needs(cls) -> ChildNeeds: ...

    def open(self, slot: str) -> None: ...

    def render(self, request: Mapping[str, Any], source: bytes, data: bytes) -> tuple[dict[str, Any], bytes]: ...


def run_child(channel: socket.socket, profile: Profile, engine: Engine, *, slot: Path, parent: int) -> None:
    """Live as a child until the pool closes the channel. Never returns to the zygote's code: the caller exits."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.chdir(slot / ROOT)
    active = confine(profile, parent, keep=(channel.fileno(),))
    engine.open(str(slot))
    send_frame(channel, {"ready": active})
    while True:
        try:
            request, body = receive_frame(channel, max_body=MAX_REQUEST_BYTES)
        except BrokenFrameError:
            return
        split = request["source_bytes"]
        head, content = _answer(engine, request, body[:split], body[split:])
        head["cpu_seconds"] = time.process_time()
        send_frame(channel, head, content)
        if head.get("last"):
            return


def _answer(engine: Engine, request: dict[str, Any], source: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        return engine.render(request, source, data)
    except RenderError as error:
        return _described(error), b""
    except MemoryError:
        return _OUT_OF_MEMORY | {}, b""
    # pyo3 raises a panic of the engine as a BaseException, so that nobody takes it for an ordinary error
    except BaseException as error:  # noqa: BLE001
        if is_memory(str(error)):
            return _OUT_OF_MEMORY | {}, b""
        stopped = EngineError("the typesetter stopped on this input; please report it with the template")
        return _described(stopped) | {"last": True}, b""


def _described(error: RenderError) -> dict[str, Any]:
    described: dict[str, Any] = {"error": error.code, "message": error.message}
    if isinstance(error, TemplateError):
        described |= {"line": error.line, "column": error.column, "hints": error.hints}
    if isinstance(error, RemoteFilesNeededError):
        described["urls"] = error.urls
    return described
