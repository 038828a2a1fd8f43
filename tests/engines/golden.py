"""Draw the golden gallery anew: `python -m tests.engines.golden`. Look at every picture before you commit it."""

import json
import sys
from pathlib import Path

import rendercv_fonts

from workers.job import RenderJob
from workers.pool import EnginePool

sys.path.insert(0, str(Path(__file__).parent))

from gallery import DATA, FILES, GALLERY, document

GOLDEN = Path(__file__).with_name("golden")


def gallery_job(name: str, format_name: str = "png", **options: object) -> RenderJob:
    """The job that draws one document of the gallery."""
    return RenderJob(
        source=json.dumps(document(name)),
        data=json.dumps(DATA).encode(),
        format=format_name,
        options=options,
        files=FILES,
    )


def main() -> None:
    pool = EnginePool(engine="canvas", children=1, font_paths=[Path(rendercv_fonts.__file__).parent])
    pool.start()
    try:
        for old in GOLDEN.glob("*.png"):
            old.unlink()
        for name in GALLERY:
            (GOLDEN / f"{name}.png").write_bytes(pool.render("golden", gallery_job(name)).content)
    finally:
        pool.close()
    print(f"{len(GALLERY)} pictures in {GOLDEN}")


if __name__ == "__main__":
    main()
