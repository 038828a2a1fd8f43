"""Documents as pixels, by other hands than ours where there are some, and how far two pictures are apart."""

import io
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import typst
from PIL import Image, ImageChops

_FINER = 4


def rasterise(content: bytes, format_name: str, scale: int = 1) -> Image.Image:
    """A document as RGB on white: PDF by PDFium, SVG by the resvg in Typst, the others by Pillow."""
    match format_name:
        case "pdf":
            # PDFium moves small letters to whole pixels, so it draws them larger than they are wanted
            image = pypdfium2.PdfDocument(content)[0].render(scale=scale * _FINER).to_pil()
            return image.convert("RGB").reduce(_FINER)
        case "svg":
            source = b'#set page(width: auto, height: auto, margin: 0pt)\n#image("picture.svg")'
            compiler = typst.Compiler(root=Path(__file__).parent, font_paths=typst.Fonts(include_system_fonts=False))
            # Typst takes a pixel for three quarters of a point
            png = compiler.compile(input={"main.typ": source, "picture.svg": content}, format="png", ppi=96)
            return on_white(Image.open(io.BytesIO(png)))
        case _:
            return on_white(Image.open(io.BytesIO(content)))


def on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "#ffffff"), image).convert("RGB")


@dataclass(frozen=True)
class Difference:
    """`mean` is over pixels and channels, of 255; `share` is of the pixels that are off by more than a quarter."""

    mean: float
    share: float
    picture: Image.Image


def difference(one: Image.Image, other: Image.Image) -> Difference:
    """How far two RGB pictures of one size are apart; the picture of it is four times as strong as the difference."""
    assert one.size == other.size
    apart = ImageChops.difference(one, other)
    histogram = apart.histogram()
    pixels = one.width * one.height
    mean = sum(value * count for channel in range(3) for value, count in enumerate(histogram[channel * 256 :][:256]))
    strongest = ImageChops.lighter(ImageChops.lighter(*apart.split()[:2]), apart.split()[2])
    share = sum(strongest.histogram()[65:]) / pixels
    return Difference(mean / pixels / 3, share, apart.point([min(255, value * 4) for value in range(256)] * 3))


def side_by_side(*pictures: Image.Image) -> Image.Image:
    sheet = Image.new(
        "RGB", (sum(picture.width for picture in pictures), max(picture.height for picture in pictures))
    )
    place = 0
    for picture in pictures:
        sheet.paste(picture, (place, 0))
        place += picture.width
    return sheet
