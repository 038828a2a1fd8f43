"""A quote of one page from a Word template: our warm child, `soffice --convert-to`, and the npm package carbone."""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdf

from bench.documents import data, engine_pool, render_job, starter
from bench.measurements import spread
from bench.soffice import Carbone, MissingError, Soffice

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measurements import Say
    from workers.pool import EnginePool

    Round = Callable[[int], float]
    """Make documents from this number on; the milliseconds of the middle one."""

_ROUNDS = 6
_PER_ROUND = 8
_PER_SOFFICE_ROUND = 2


class _Documents:
    """The same quote by each of the three."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self.last: dict[str, bytes] = {}

    def ours(self, number: int, format_name: str = "pdf") -> float:
        walls = []
        for place in range(_PER_ROUND):
            job = render_job("docx", number + place, format_name)
            begin = time.perf_counter()
            self.last["ours" if format_name == "pdf" else "filled"] = self._pool.render("warm", job).content
            walls.append(time.perf_counter() - begin)
        return 1000 * statistics.median(walls)

    def ours_docx(self, number: int) -> float:
        return self.ours(number, "docx")

    def by_soffice(self, soffice: Soffice, number: int) -> float:
        """Filling is ours and not counted: it only converts."""
        walls = []
        for place in range(_PER_ROUND - _PER_SOFFICE_ROUND, _PER_ROUND):
            filled = self._pool.render("warm", render_job("docx", number + place, "docx")).content
            self.last["soffice"], seconds = soffice.convert(filled)
            walls.append(seconds)
        return 1000 * statistics.median(walls)

    def by_carbone(self, carbone: Carbone, number: int, format_name: str) -> float:
        given = [data("docx", number + place) for place in range(_PER_ROUND)]
        content, walls = carbone.render(given, format_name)
        self.last["carbone" if format_name == "pdf" else "carbone_docx"] = content
        return 1000 * statistics.median(walls)


def measure_docx(say: Say) -> dict[str, Any]:
    """Milliseconds of a PDF, and of a filled Word file alone, in turns; `missing` says what could not be compared."""
    missing: dict[str, str] = {}
    found: dict[str, Any] = {"missing": missing}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="automette-bench-")))
        pool = engine_pool("docx")
        pool.start()
        stack.callback(pool.close)
        documents = _Documents(pool)
        rounds: dict[str, Round] = {"ours": documents.ours, "ours_docx": documents.ours_docx}
        try:
            soffice = Soffice(_folder(folder, "soffice"))
            rounds["soffice"] = lambda number: documents.by_soffice(soffice, number)
        except MissingError as error:
            return {"missing": {"pdf": str(error)}}
        try:
            say("carbone: installing and starting")
            carbone = stack.enter_context(Carbone(_folder(folder, "carbone"), starter("docx").source))
            rounds["carbone"] = lambda number: documents.by_carbone(carbone, number, "pdf")
            rounds["carbone_docx"] = lambda number: documents.by_carbone(carbone, number, "docx")
            found["carbone_version"] = carbone.version
        except MissingError as error:
            missing["carbone"] = str(error)
            say(f"carbone is left out: {error}")
        found |= _in_turns(rounds, say)
        found["same_text"] = _same_text(documents)
    return found


def _folder(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _in_turns(rounds: dict[str, Round], say: Say) -> dict[str, Any]:
    number = 50_000_000
    seen: dict[str, list[float]] = {name: [] for name in rounds}
    for turn in range(-1, _ROUNDS):
        say(f"word to pdf ({', '.join(rounds)}), " + (f"round {turn + 1} of {_ROUNDS}" if turn >= 0 else "warm-up"))
        for name, run in rounds.items():
            milliseconds = run(number)
            if turn >= 0:
                seen[name].append(milliseconds)
        number += _PER_ROUND
    ratios = {
        f"{name}_ratio": spread([theirs / ours for theirs, ours in zip(seen[name], seen[mine], strict=True)])
        for name, mine in (("soffice", "ours"), ("carbone", "ours"), ("carbone_docx", "ours_docx"))
        if name in seen
    }
    return {f"{name}_ms": spread(values) for name, values in seen.items()} | ratios


def _same_text(documents: _Documents) -> dict[str, bool]:
    """Whether the others have made the document that we have: the last one of a round has one number for all."""
    ours = _text(documents.last["ours"])
    return {name: _text(documents.last[name]) == ours for name in ("soffice", "carbone") if name in documents.last}


def _text(content: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]
