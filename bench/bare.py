"""The unit of all ratios: Typst compiling the invoice in a process that does nothing else.

One reused `Compiler` and one set of fonts, the fastest way there is in process. Run as a program it takes one order
per line (`{"seconds": 1.5}` or `{"count": 40}`) and answers with the wall time of each compile and the CPU of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from bench.invoice import DATA_FILE, PRELUDE, SOURCE, invoice_json

WARM_UP = 30


class BareCompiler:
    """A process of its own, so that nobody's threads and garbage are in its figures."""

    def __init__(self, first_number: int, program: str = "bench.bare") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", program, str(first_number)],
            env={**os.environ, "RAYON_NUM_THREADS": "1"},  # as in the engine's children
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.run(count=WARM_UP)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)

    def order(self, **order: float) -> None:
        """Start compiling: for `seconds`, or `count` documents."""
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the end: `walls` (seconds of each), `seconds` and `cpu_seconds` of all."""
        return json.loads(self._process.stdout.readline())

    def run(self, **order: float) -> dict[str, Any]:
        self.order(**order)
        return self.answer()


def run_both(compilers: list[BareCompiler], seconds: float) -> dict[str, float]:
    """Compile in several processes at once; documents per second of all, CPU milliseconds of one."""
    for compiler in compilers:
        compiler.order(seconds=seconds)
    answers = [compiler.answer() for compiler in compilers]
    count = sum(len(answer["walls"]) for answer in answers)
    return {
        "per_second": sum(len(answer["walls"]) / answer["seconds"] for answer in answers),
        "cpu_ms": 1000 * sum(answer["cpu_seconds"] for answer in answers) / count,
    }


def main(number: int) -> None:
    import rendercv_fonts  # noqa: PLC0415 - only the program needs the engine
    import typst  # noqa: PLC0415

    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=True,
        font_paths=[str(Path(rendercv_fonts.__file__).parent)],
    )
    source = (PRELUDE + SOURCE).encode()
    with tempfile.TemporaryDirectory() as root:
        compiler = typst.Compiler(root=Path(root), font_paths=fonts)
        for line in sys.stdin:
            order = json.loads(line)
            walls: list[float] = []
            begin, cpu = time.perf_counter(), time.process_time()
            while len(walls) < order.get("count", 1e9) and time.perf_counter() - begin < order.get("seconds", 1e9):
                number += 1
                files = {"main.typ": source, DATA_FILE: invoice_json(number)}
                start = time.perf_counter()
                compiler.compile(input=files, format="pdf", timestamp=0)
                walls.append(time.perf_counter() - start)
            took = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}
            print(json.dumps({"walls": walls, **took}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
