"""Put what was printed into the tree of a part: line breaks, tabs, images and rich text, each as Word's own elements.

Text from data is only ever text here. A run is split where rich text stands in it; the pieces keep its style.
"""

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from lxml import etree

from workers.docx.values import MARK, MARK_START, Image, RichText, Run
from workers.docx.xml import XML_SPACE, R, W

_PIECES: Final = re.compile(f"(\n|\t|{MARK.pattern})")
_SPECIAL: Final = re.compile(f"[\n\t{MARK_START}]")
_INSIDE_A_PARAGRAPH: Final = frozenset(W + name for name in ("p", "hyperlink", "ins", "smartTag", "fldSimple"))
_HOLDS_PARAGRAPHS: Final = frozenset(
    W + name for name in ("body", "tc", "hdr", "ftr", "footnote", "endnote", "txbxContent")
)
_SWITCHES: Final = {"bold": ("b", "bCs"), "italic": ("i", "iCs"), "strike": ("strike",)}
_NAMESPACES: Final = {"w": W[1:-1], "r": R[1:-1]}
_SCHEMA_ORDER: Final = {
    name: place
    for place, name in enumerate(
        """
        rStyle rFonts b bCs i iCs caps smallCaps strike dstrike outline shadow emboss imprint noProof snapToGrid
        vanish webHidden color spacing w kern position sz szCs highlight u effect bdr shd fitText vertAlign rtl cs em
        lang eastAsianLayout specVanish oMath
        """.strip().split()
    )
}
"""Word takes a file for damaged when the properties of a run stand in another order."""

Picture = Callable[[Image], Any]
"""Makes the `wp:inline` element of an image and stores the image with the part."""
Link = Callable[[str], str]
"""Stores an address with the part and gives the id of its relationship."""


class Placer:
    """Places values in one part. `values` are those that the marks count."""

    def __init__(self, values: Sequence[Image | RichText], picture: Picture, link: Link) -> None:
        self._values, self._picture, self._link = values, picture, link

    def place(self, root: Any) -> None:
        _wrap_stray_text(root)
        for text in [each for each in root.iter(W + "t") if each.text and _SPECIAL.search(each.text)]:
            if text.getparent().tag == W + "r":
                self._replace(text)
        if self._values:
            _remove_marks(root)

    def _replace(self, text: Any) -> None:
        """Split the run of a text that holds more than text."""
        run = text.getparent()
        before, after = list(run)[: run.index(text)], list(run)[run.index(text) + 1 :]
        row = _Row(run)
        row.extend(before)
        for number, piece in enumerate(_PIECES.split(text.text)):
            # every third piece is the number inside a mark, which the piece before it holds as well
            if number % 3 == 2 or not piece:  # noqa: PLR2004
                continue
            mark = MARK.fullmatch(piece)
            value = self._values[int(mark[1])] if mark and int(mark[1]) < len(self._values) else None
            match value:
                case Image():
                    row.extend([_element("drawing", self._picture(value))])
                case RichText():
                    row.add([each for run in value.runs for each in self._rich(run, row)])
                case None if not mark:
                    row.extend([_plain(piece)])
        row.extend(after)
        row.replace()

    def _rich(self, run: Run, row: "_Row") -> list[Any]:
        element = row.new_run()
        _style(element, run)
        for line in re.split("(\n|\t)", run.text):
            if line:
                element.append(_plain(line))
        if run.break_after:
            element.append(_break(run.break_after))
        if run.link and not row.is_inside_link:
            link = _element("hyperlink", element)
            link.set(R + "id", self._link(run.link))
            return [link]
        return [element]


class _Row:
    """The elements that will stand where one run stood."""

    def __init__(self, run: Any) -> None:
        self._run = run
        self._style = run.find(W + "rPr")
        self.is_inside_link = next(run.iterancestors(W + "hyperlink"), None) is not None
        self._elements: list[Any] = []
        self._open: Any = None

    def new_run(self) -> Any:
        element = _element("r")
        if self._style is not None:
            element.append(copy.deepcopy(self._style))
        return element

    def extend(self, contents: Sequence[Any]) -> None:
        """Go on with contents of a run in the style of the one that is split."""
        for content in contents:
            if content is self._style:
                continue
            if self._open is None:
                self._open = self.new_run()
                self._elements.append(self._open)
            self._open.append(content)

    def add(self, elements: Sequence[Any]) -> None:
        self._elements.extend(elements)
        self._open = None

    def replace(self) -> None:
        parent, place = self._run.getparent(), self._run.getparent().index(self._run)
        parent[place : place + 1] = self._elements


def _wrap_stray_text(root: Any) -> None:
    """Give a run, and a paragraph where needed, to what {{r }} and {{p }} printed outside of one."""
    for holder in [each for each in root.iter() if each.tag in _INSIDE_A_PARAGRAPH or each.tag in _HOLDS_PARAGRAPHS]:
        for place, text in reversed(list(enumerate([holder.text, *(child.tail for child in holder)]))):
            if not text or not text.strip():
                continue
            content = _element("t", text=text)
            run = _element("r", content)
            holder.insert(place, run if holder.tag in _INSIDE_A_PARAGRAPH else _element("p", run))
            run_or_paragraph = holder[place]
            run_or_paragraph.tail = None
            if place == 0:
                holder.text = None
            else:
                holder[place - 1].tail = None


def _plain(piece: str) -> Any:
    if piece == "\n":
        return _element("br")
    return _element("tab") if piece == "\t" else _element("t", text=piece)


def _break(kind: str) -> Any:
    element = _element("br")
    if kind == "page":
        element.set(W + "type", "page")
    return element


def _style(element: Any, run: Run) -> None:
    """Set the properties that the run gives, in the place where the schema wants them."""
    settings = _settings(run)
    if not settings:
        return
    properties = element.find(W + "rPr")
    if properties is None:
        properties = _element("rPr")
        element.insert(0, properties)
    for name, attributes in settings.items():
        for old in properties.findall(W + name):
            properties.remove(old)
        new = _element(name)
        for attribute, value in attributes.items():
            new.set(W + attribute, value)
        properties.append(new)
    properties[:] = sorted(properties, key=lambda each: _SCHEMA_ORDER.get(str(each.tag).removeprefix(W), 99))


def _settings(run: Run) -> dict[str, dict[str, str]]:
    """The attributes of each property that the run sets, by the property's name."""
    settings: dict[str, dict[str, str]] = {}
    for name, tags in _SWITCHES.items():
        if (flag := getattr(run, name)) is not None:
            settings |= {tag: {"val": "1" if flag else "0"} for tag in tags}
    if run.underline is not None:
        settings["u"] = {"val": "single" if run.underline else "none"}
    if run.color is not None:
        settings["color"] = {"val": run.color.upper()}
    if run.size is not None:
        settings |= {"sz": {"val": str(run.size)}, "szCs": {"val": str(run.size)}}
    if run.font is not None:
        settings["rFonts"] = dict.fromkeys(("ascii", "hAnsi", "cs", "eastAsia"), run.font)
    return settings


def _element(name: str, child: Any = None, text: str | None = None) -> Any:
    element = etree.Element(W + name, nsmap=_NAMESPACES)
    if child is not None:
        element.append(child)
    if text is not None:
        element.text = text
        element.set(XML_SPACE, "preserve")
    return element


def _remove_marks(root: Any) -> None:
    """Marks where no image can stand (alternative texts, instructions of fields) mean nothing."""
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if MARK_START in value:
                element.set(attribute, MARK.sub("", value))
        if element.text and MARK_START in element.text:
            element.text = MARK.sub("", element.text)
