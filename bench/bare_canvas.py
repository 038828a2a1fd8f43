"""The unit of the Canvas ratios: the one Typst program with the same drawing, compiled in a process of its own.

The Canvas engine prepares what it would compile, pictures and shadows included; that is kept, and the time it takes
counts apart. What is timed as the bare compile is `typst.Compiler.compile` of exactly these files to PNG at the same
resolution, with one reused compiler and one set of fonts, and nothing of the engine around it. A program like
`bench.bare`, whose orders and answers it shares; `count` is needed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import typst

from bench.documents import fonts, render_job
from workers.engines.canvas.engine import CanvasEngine
from workers.engines.canvas.options import check_options
from workers.engines.canvas.schema import check_document
from workers.engines.needs import ROOT

_SAMPLES = 5


class _Recorder:
    """Stands where the engine has its compiler, and keeps what it would have compiled last."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def compile(self, **asked: Any) -> bytes:
        self.asked = asked
        return b""


class Drawer:
    """A Canvas engine that has drawn the card once, so that photo and shadows are prepared, and now only records."""

    def __init__(self, folder: str, number: int) -> None:
        job = render_job("canvas", number)
        limits = {"max_pixels": job.limits.max_pixels, "max_output_bytes": job.limits.max_output_bytes}
        self._request = {"format": "png", "options": check_options("png", {}), "limits": limits}
        self._source = job.source.encode()
        self._engine = CanvasEngine(_font_links(folder), folder)
        self._engine.open(folder)
        self._engine.render(self._request, self._source, job.data)
        self._recorder = self._engine._compiler = _Recorder()  # noqa: SLF001 - no engine in production needs this

    def draw(self, number: int) -> tuple[dict[str, Any], float]:
        """Return what would be compiled for the card with this number, and the seconds that it took to know."""
        data = render_job("canvas", number).data
        begin = time.perf_counter()
        self._engine.render(self._request, self._source, data)
        return self._recorder.asked, time.perf_counter() - begin

    def check(self) -> float:
        """Return the seconds that reading and checking the document takes, which is a part of the drawing."""
        begin = time.perf_counter()
        check_document(json.loads(self._source))
        return time.perf_counter() - begin


def _font_links(folder: str) -> str:
    """A folder of font folders, as a zygote has it."""
    links = Path(folder, "links")
    links.mkdir()
    for place, one in enumerate(fonts()):
        (links / f"{place:03}").symlink_to(one)
    return str(links)


def _layout(compiler: typst.Compiler, drawer: Drawer, number: int) -> float:
    """Seconds of a compile that makes an SVG, which is the layout and little else: no pixels, no PNG."""
    asked, _ = drawer.draw(number)
    start = time.perf_counter()
    compiler.compile(input=asked["input"], format="svg", timestamp=0)
    return time.perf_counter() - start


def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ROOT).mkdir()
        drawer = Drawer(folder, number)
        book = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(one) for one in fonts()]
        )
        compiler = typst.Compiler(root=Path(folder, ROOT), font_paths=book)
        for line in sys.stdin:
            drawn = [drawer.draw(number + place) for place in range(1, json.loads(line)["count"] + 1)]
            number += len(drawn)
            walls: list[float] = []
            begin, cpu = time.perf_counter(), time.process_time()
            for asked, _ in drawn:
                start = time.perf_counter()
                size = len(compiler.compile(**asked))
                walls.append(time.perf_counter() - start)
            answer = {
                "walls": walls,
                "seconds": time.perf_counter() - begin,
                "cpu_seconds": time.process_time() - cpu,
                "layout": [_layout(compiler, drawer, number + place) for place in range(1, _SAMPLES + 1)],
                "drawing": [seconds for _, seconds in drawn],
                "checking": [drawer.check() for _ in range(_SAMPLES)],
                "bytes": size,
            }
            number += _SAMPLES
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
