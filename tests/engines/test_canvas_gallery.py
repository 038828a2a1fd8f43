"""Every type of layer and every fit of a text looks as it did. `python -m tests.engines.golden` draws them anew."""

from pathlib import Path

import pytest
from gallery import GALLERY
from golden import GOLDEN, gallery_job
from PIL import Image
from rasterising import difference, on_white, rasterise, side_by_side

DIFFERENCES = Path(__file__).parents[2] / ".local" / "gallery-differences"
FORMATS = {"jpg": (2, 0.002), "webp": (4, 0.01), "pdf": (4.5, 0.016), "svg": (2.5, 0.016)}
"""How far each may be from the PNG: mean of 255, share of pixels off by more than a quarter. The pictures are small
and full of edges, which every renderer smooths in its own way."""


def assert_alike(found, wanted, name, *, mean, share, folder=DIFFERENCES):
    apart = difference(found, wanted)
    if apart.mean > mean or apart.share > share:
        folder.mkdir(parents=True, exist_ok=True)
        picture = folder / f"{name}.png"
        side_by_side(wanted, found, apart.picture).save(picture)
        pytest.fail(f"{name}: mean {apart.mean:.2f}, share {apart.share:.4f}; wanted, found, difference: {picture}")


def test_the_gallery_and_its_pictures_have_the_same_names():
    assert sorted(path.stem for path in GOLDEN.glob("*.png")) == sorted(GALLERY)


@pytest.mark.parametrize("name", GALLERY)
def test_picture_is_as_it_was(canvas, name):
    found = rasterise(canvas.render("a team", gallery_job(name)).content, "png")
    wanted = on_white(Image.open(GOLDEN / f"{name}.png"))
    assert_alike(found, wanted, name, mean=0.3, share=0.002)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", GALLERY)
def test_formats_agree(canvas, name, format_name):
    wanted = rasterise(canvas.render("a team", gallery_job(name)).content, "png")
    found = rasterise(canvas.render("a team", gallery_job(name, format_name)).content, format_name)
    mean, share = FORMATS[format_name]
    assert_alike(found, wanted, f"{name}-{format_name}", mean=mean, share=share)


def test_a_difference_is_seen_and_drawn(tmp_path):
    """The control of the tests above."""
    wanted = on_white(Image.open(GOLDEN / "rect.png"))
    with pytest.raises(pytest.fail.Exception, match="rect: mean"):
        assert_alike(wanted.rotate(180), wanted, "rect", mean=0.3, share=0.002, folder=tmp_path)
    with Image.open(tmp_path / "rect.png") as drawn:
        assert drawn.size == (3 * wanted.width, wanted.height)
