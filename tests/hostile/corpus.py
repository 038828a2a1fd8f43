"""The hostile Typst templates of `typst/`, with what `typst/manifest.toml` says of them."""

import functools
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.hostile.typst_files import FILES
from workers.errors import RenderError
from workers.job import Limits, RenderedDocument, RenderJob

FOLDER: Final = Path(__file__).with_name("typst")
DATA: Final = rb'{"code": "#read(\"/etc/passwd\")"}'
LEAKS: Final = re.compile(r"automette-|/dev/shm|/tmp|/root|/home|slots|root:x|site-packages|Traceback|--root")
"""What no message may show of the machine."""

_SECONDS: Final = {"time": 0.7}
_MEMORY: Final = {"memory": 400 << 20}
_NAME: Final = re.compile(r'"([\w.-]+\.\w+)"')


@dataclass(frozen=True, slots=True)
class Case:
    """One template and what becomes of it; "PORT" in it stands for a port on which the test listens."""

    name: str
    outcome: str
    guard: str
    message: str = ""
    format: str = "pdf"
    limits: dict[str, int] = field(default_factory=dict)
    api: bool = False

    @property
    def source(self) -> str:
        return (FOLDER / f"{self.name}.typ").read_bytes().decode()

    def job(self, port: int) -> RenderJob:
        """The render, with limits short enough for a test, and with the files that the template names."""
        limits = {"wall_seconds": _SECONDS.get(self.guard, 60), "memory_bytes": _MEMORY.get(self.guard, 1 << 30)}
        return RenderJob(
            source=self.source.replace("PORT", str(port)),
            data=DATA,
            format=self.format,
            files={name: file(name, port) for name in _NAME.findall(self.source) if name in FILES},
            limits=Limits(**(limits | self.limits)),
        )

    def accepts(self, message: str, port: int) -> bool:
        return re.search(self.message.replace("PORT", str(port)), message) is not None


def tried(render: Callable[[], RenderedDocument]) -> RenderedDocument | RenderError:
    """The document, or the error instead of raising it: for what may end either way."""
    try:
        return render()
    except RenderError as error:
        return error


def is_clean(error: RenderError) -> bool:
    """Whether trying again is not offered and the message shows nothing of the machine."""
    return not error.retry and LEAKS.search(error.message) is None


@functools.cache
def file(name: str, port: int) -> bytes:
    """A file that a template brings along. Made when it is wanted: some take a while."""
    return FILES[name]().replace(b"PORT", str(port).encode())


@functools.cache
def cases() -> dict[str, Case]:
    manifest: dict[str, Any] = tomllib.loads((FOLDER / "manifest.toml").read_text())
    return {name: Case(name, **said) for name, said in manifest.items()}
