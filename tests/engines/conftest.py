"""One pool of real, confined Canvas children for all tests of engines."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rendercv_fonts

from workers.job import RenderedDocument, RenderJob
from workers.pool import EnginePool


@pytest.fixture(scope="session")
def canvas() -> Iterator[EnginePool]:
    pool = EnginePool(engine="canvas", children=1, font_paths=[Path(rendercv_fonts.__file__).parent])
    pool.start()
    yield pool
    pool.close()


@pytest.fixture
def draw(canvas) -> Callable[..., RenderedDocument]:
    """Draw a document, given as a value or as text, in a child of one team."""

    def draw(document, data=None, *, format="png", files=None, options=None, **limits) -> RenderedDocument:
        job = RenderJob(
            source=document if isinstance(document, str) else json.dumps(document),
            data=json.dumps(data or {}).encode(),
            format=format,
            options=options or {},
            files=files or {},
            **limits,
        )
        return canvas.render("a team", job)

    return draw


@pytest.fixture
def draw_layers(draw) -> Callable[..., RenderedDocument]:
    """Draw layers on a white sheet of 100 x 100."""

    def draw_layers(*layers, data=None, **more) -> RenderedDocument:
        return draw({"width": 100, "height": 100, "layers": list(layers)}, data, **more)

    return draw_layers
