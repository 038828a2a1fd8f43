"""What else makes a PDF of a Word file: `soffice --convert-to`, and the npm package carbone with its own LibreOffice.

Neither is needed for anything but a comparison. What is missing here is told with the command that installs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from bench.carbone_template import carbone_data, carbone_template
from workers.docx.office import find_program

_CARBONE = Path(__file__).resolve().parent / "carbone"
_SECONDS = 120
_NO_SOFFICE = (
    "LibreOffice is missing (Debian, Ubuntu: apt-get install --no-install-recommends libreoffice-writer-nogui)"
)
_NO_NODE = "Node.js is missing (Debian, Ubuntu: apt-get install --no-install-recommends nodejs npm)"
_NO_UNO = (
    "carbone drives LibreOffice by Python's uno, which is missing "
    "(Debian, Ubuntu: apt-get install --no-install-recommends python3-uno)"
)


class MissingError(Exception):
    """What to compare with is not installed; the message says how to install it."""


class Soffice:
    """`soffice --convert-to pdf` as people run it: a process for each document, and a profile that has been used.

    Raises MissingError.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("soffice")
        if program is None:
            raise MissingError(_NO_SOFFICE)
        self._folder = folder
        profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        self._command = [
            program,
            profile,
            "--headless",
            "--convert-to",
            "pdf",
            "--outdir",
            str(folder),
            "filled.docx",
        ]

    def convert(self, filled: bytes) -> tuple[bytes, float]:
        """Return the PDF and the seconds that the process took."""
        source, target = self._folder / "filled.docx", self._folder / "filled.pdf"
        source.write_bytes(filled)
        target.unlink(missing_ok=True)
        begin = time.perf_counter()
        process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a script that starts a launcher that starts LibreOffice
        )
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        seconds = time.perf_counter() - begin
        return target.read_bytes(), seconds


class Carbone:
    """Carbone in one Node process with one LibreOffice of its own, both of which stay. Raises MissingError."""

    def __init__(self, folder: Path, template: bytes) -> None:
        office, node = find_program(), shutil.which("node")
        if office is None:
            raise MissingError(_NO_SOFFICE)
        if node is None:
            raise MissingError(_NO_NODE)
        # it looks for soffice.bin and for a Python in PATH, and that Python must be the system's
        environment = {"PATH": f"{office}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
        _check_uno(environment)
        _install()
        self._template, self._target = folder / "template.docx", folder / "carbone"
        self._template.write_bytes(carbone_template(template))
        self._process = subprocess.Popen(
            [node, str(_CARBONE / "render.js"), str(folder)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.version = json.loads(self._process.stdout.readline())["version"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # LibreOffice is in the same session
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def render(self, data: list[dict[str, Any]], format_name: str) -> tuple[bytes, list[float]]:
        """Return the last document, and the seconds of each as carbone's caller sees them.

        Raises RuntimeError with what carbone says.
        """
        order = {
            "template": str(self._template),
            "data": [carbone_data(one) for one in data],
            "convertTo": None if format_name == "docx" else format_name,
            "target": str(self._target),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"carbone: {answer['error']}")
        return self._target.read_bytes(), answer["walls"]


def _check_uno(environment: dict[str, str]) -> None:
    python = shutil.which("python3", path=environment["PATH"])
    command = [python or "python3", "-c", "import uno"]
    if python is None or subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode:
        raise MissingError(_NO_UNO)


def _install() -> None:
    """Install what package-lock.json says, once, into a folder that git ignores."""
    wanted = json.loads((_CARBONE / "package.json").read_text())["dependencies"]["carbone"]
    installed = _CARBONE / "node_modules" / "carbone" / "package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError(_NO_NODE)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=_CARBONE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MissingError(f"npm could not install carbone {wanted}: {done.stderr.strip()[-300:]}")
