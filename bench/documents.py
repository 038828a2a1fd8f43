"""One document for each engine: the invoice for Typst, and the starters "Social card" and "Quote".

As in `invoice.py`, every number gives data of its own, so that nothing is answered from memory.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import rendercv_fonts

from bench.invoice import SOURCE, invoice_data
from templates_app.starters import Starter, load_starters
from workers.job import Limits, RenderJob
from workers.pool import EnginePool

ENGINES = ("typst", "canvas", "docx")
_FORMATS = {"typst": "pdf", "canvas": "png", "docx": "pdf"}  # the API's, when none is named
_STARTERS = {"canvas": "social-card", "docx": "quote"}
_MEMORY_BYTES = {"typst": 1 << 30, "canvas": 1 << 30, "docx": 2 << 30}  # as the settings have it


def fonts() -> list[Path]:
    """Return the font folder that workers use as well."""
    return [Path(rendercv_fonts.__file__).parent]


@cache
def starter(engine: str) -> Starter:
    """Return the starter that stands for the Canvas or the DOCX engine here."""
    slug = _STARTERS[engine]
    return next(one for one in load_starters(engines=(engine,)) if one.slug == slug)


def data(engine: str, number: int) -> dict[str, Any]:
    """Return the data of the document with this number."""
    return {"typst": invoice_data, "canvas": _card_data, "docx": _quote_data}[engine](number)


def _card_data(number: int) -> dict[str, Any]:
    return {
        **starter("canvas").data,
        "headline": f"Drawing {number} mountains the light can read",
        "summary": f"How hachures, {number % 97} kinds of shading and a hand turn contours into land {number}.",
        "author": f"Imogen Castellane-Obi {number}",
    }


def _quote_data(number: int) -> dict[str, Any]:
    sample = starter("docx").data
    lines = [
        {
            "name": line["name"],
            "details": f"Position {number}-{place}, as discussed",
            "quantity": 1 + (number + place) % 9,
            "unit": "days",
            "price": (99_900 + (number * 7919 + place * 104_729) % 900_000) / 100,
        }
        for place, line in enumerate(sample["lines"], 1)
    ]
    customer = {**sample["customer"], "name": f"City of Lübeck, department {number}"}
    return {**sample, "number": f"Q-2026-{number:07d}", "customer": customer, "lines": lines}


def render_job(engine: str, number: int, format_name: str | None = None) -> RenderJob:
    """Return the job that makes the document with this number."""
    return RenderJob(
        source=SOURCE if engine == "typst" else starter(engine).source,
        data=json.dumps(data(engine, number)).encode(),
        format=format_name or _FORMATS[engine],
        limits=Limits(memory_bytes=_MEMORY_BYTES[engine], wall_seconds=60),
    )


def engine_pool(engine: str, *, children: int = 1, spares: int = 1) -> EnginePool:
    """Return a pool that still has to be started, whose children are never replaced for their age or size."""
    return EnginePool(
        engine=engine,
        children=children,
        spares=spares,
        max_jobs=10**6,
        max_rss_bytes=_MEMORY_BYTES[engine],
        memory_bytes=_MEMORY_BYTES[engine],
        font_paths=fonts(),
    )
