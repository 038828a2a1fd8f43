"""The Typst engine, as it runs inside a confined child.

One `Compiler` is kept for the life of a child: a fresh one per distinct document leaks a quarter of a megabyte each
time, and font look-up costs 80 ms unless one `typst.Fonts` is shared.

The caller's data arrives as a virtual file beside the source. A first line binds it to the name `data`; it is a line
of its own because a heading is one only at the start of a line, and line numbers in messages are moved back by it.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import typst

from workers.engines import pdf, typst_messages
from workers.engines.needs import ROOT, ChildNeeds, font_folders
from workers.engines.pdf_standards import confirm_standards
from workers.engines.typst_compiler import InstalledFonts, load_fonts, make_compiler, with_team_fonts
from workers.engines.typst_options import DEFAULT_PPI
from workers.engines.typst_stack import learn_stack
from workers.errors import EngineError, LimitExceededError, RenderError, TemplateError

_PRELUDE = f'#let data = json("/{typst_messages.DATA_FILE}");\n'.encode()
_FONT_SETTING = re.compile(r'\bfont\s*:\s*(?:"([^"\n]+)"|\(([^()]*)\))')
_MAY_SEE_INPUTS = re.compile(rb"(?<![A-Za-z])(?:sys|std|eval|import|include)\b")
"""Without one of these words no code can reach `sys.inputs`, and then they are left as they are: setting them makes
Typst build its library anew, which costs a tenth of an invoice. A digit may stand right before the word."""
_QUOTED = re.compile(r'"([^"\n]+)"')
_WARM_UP = b"""#set page(width: 10cm, height: auto)
= Ready *bold* _italic_
#table(columns: 2, [a], [b], ..range(6).map(n => [#n]))
"""
_FONT_SAMPLE = b"""#set page(width: 12cm, height: auto, margin: 5mm)
#set text(font: %s, fallback: false)
ABCDEFGHIJKLM nopqrstuvwxyz 0123456789 .,;:!? *fi* _AV_
"""
_SCRIPTS = ((0xA1, 0x180), (0x391, 0x3CA), (0x410, 0x450), (0x5D0, 0x5EB), (0x627, 0x64B))
_FONT_STRAIN = b"\n" + b" ".join("".join(map(chr, range(*signs))).encode() for signs in _SCRIPTS)
"""What the font does not have of it is drawn as a box, which is why no sample shows it."""
_MAX_FAMILY_NAME = 100
_UNKNOWN_FONT = "unknown font family: "
_PNG_SIZE = slice(16, 24)


class TypstEngine:
    """Compiles one job after the other. Built in the zygote, opened in the child, never used by two teams."""

    name = "typst"

    def __init__(self, fonts: str, package_path: str) -> None:
        self._font_folders = font_folders(fonts)
        self._fonts = load_fonts(self._font_folders)
        self._package_path = package_path
        self._slot = self._root = ""
        learn_stack()
        self._compiler: Any = None

    @classmethod
    def needs(cls) -> ChildNeeds:
        return ChildNeeds()

    def open(self, slot: str) -> None:
        """Make the compiler for the files of a slot and pay now for what the first document would pay."""
        self._slot, self._root = slot, f"{slot}/{ROOT}"
        self._fonts = with_team_fonts(self._fonts, self._font_folders, slot)
        self._compiler = make_compiler(slot, self._fonts, self._package_path)
        self._compiler.compile(input={typst_messages.MAIN_FILE: _WARM_UP}, format="pdf", timestamp=0)

    def render(self, request: Mapping[str, Any], source: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Give what `RenderedDocument` holds besides the content, and the content. Raises RenderError.

        For `font`, the job's files are a font: `families` and `faces` tell what it calls itself, the content is a
        sample. Without files they tell of the fonts that every template has.
        """
        if request["format"] == "font":
            return self._inspect_font()
        pages, warnings = self._compile(request, source, data)
        content, count, notes = _pick(request, pages)
        told = [typst_messages.explain(warning, self._root) for warning in warnings]
        if request["options"].get("strict_fonts"):
            _refuse_other_fonts(told)
        text = source.decode()
        asked = _fonts_asked(text)
        if request["format"] == "pdf":
            used = pdf.embedded_fonts(content, self._fonts.families)
            standards = confirm_standards(content, request["options"].get("pdf_standard", []))
        else:
            standards = ()
            used = tuple(name for name in asked if pdf.family_key(name) in self._fonts.families)
        return {
            "pages": count,
            "warnings": [*notes, *(each.message for each in told)][: typst_messages.MAX_WARNINGS],
            "fonts_asked": asked,
            "fonts_used": used,
            "standards": standards,
        }, content

    def _inspect_font(self) -> tuple[dict[str, Any], bytes]:
        """Fonts that cannot be read are skipped without a word, so what counts is that a family comes out."""
        uploaded = bool(os.listdir(self._root))  # noqa: PTH208 - a child is not to import more than it must
        fonts = load_fonts([self._root], embedded=False) if uploaded else self._fonts
        families = sorted(fonts.families.values())
        if not families or (uploaded and not all(map(_is_presentable, families))):
            raise TemplateError("the file is not a TrueType or OpenType font (.ttf, .otf) that can be used")
        source = _FONT_SAMPLE % json.dumps(families[0], ensure_ascii=False).encode()
        try:
            sample, warnings = self._try_out(fonts, source, strain=uploaded)
        except typst.TypstError as error:
            raise TemplateError("no text can be set in this font") from error
        faces = [{"family": font.family, "style": font.style, "weight": font.weight} for font in fonts.book.fonts()]
        return {"pages": 1, "families": families, "faces": faces, "warnings": warnings}, sample

    def _try_out(self, fonts: InstalledFonts, source: bytes, *, strain: bool) -> tuple[bytes, list[str]]:
        """A sample of the font and what is said of it. PDF and SVG take other parts of a font than pictures."""
        compiler = make_compiler(self._slot, fonts, self._package_path)
        if strain:
            for format_name in ("pdf", "svg", "png"):
                more = {typst_messages.MAIN_FILE: source + _FONT_STRAIN}
                compiler.compile(input=more, format=format_name, timestamp=0)
        sample, warnings = compiler.compile_with_warnings(
            input={typst_messages.MAIN_FILE: source}, format="png", ppi=DEFAULT_PPI, timestamp=0
        )
        return sample, [typst_messages.explain(warning, self._root).message for warning in warnings]

    def _compile(
        self, request: Mapping[str, Any], source: bytes, data: bytes
    ) -> tuple[bytes | list[bytes], list[Any]]:
        options = request["options"]
        try:
            inputs = _inputs(data)
            "".join((*inputs, *inputs.values())).encode()  # half of a surrogate pair is refused, seen or not
            result: tuple[bytes | list[bytes], list[Any]] = self._compiler.compile_with_warnings(
                input={typst_messages.MAIN_FILE: _PRELUDE + source, typst_messages.DATA_FILE: data},
                format=request["format"],
                ppi=options.get("ppi", DEFAULT_PPI),
                sys_inputs=inputs if _MAY_SEE_INPUTS.search(source) else ...,
                pdf_standards=options.get("pdf_standard", []),
                timestamp=options["timestamp"],
            )
        except typst.TypstError as error:
            raise self._explained(error) from error
        except UnicodeEncodeError as error:
            raise TemplateError("data holds half of a surrogate pair, which is not text") from error
        return result

    def _explained(self, error: Any) -> RenderError:
        said = typst_messages.explain(error, self._root)
        if typst_messages.is_internal(error.message):
            return EngineError(f"the typesetter could not finish: {said.message}")
        return TemplateError(said.message, line=said.line, column=said.column, hints=said.hints)


def _is_presentable(family: str) -> bool:
    return family.isprintable() and len(family) <= _MAX_FAMILY_NAME


def _inputs(data: bytes) -> dict[str, str]:
    """What `sys.inputs` holds: strings as they are, everything else as JSON."""
    try:
        values = json.loads(data, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise TemplateError("data is nested too deeply") from error
    except ValueError as error:
        raise TemplateError(f"data is not valid JSON: {str(error).partition(';')[0]}") from error
    if not isinstance(values, dict):
        return {}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for key, value in values.items()
    }


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _pick(request: Mapping[str, Any], pages: bytes | list[bytes]) -> tuple[bytes, int, list[str]]:
    """The file to return, the number of pages, and a warning when pages are left out. Raises LimitExceededError."""
    limits, notes = request["limits"], []
    if request["format"] == "pdf":
        content = pages if isinstance(pages, bytes) else pages[0]
        count = pdf.count_pages(content)
    else:
        images = [pages] if isinstance(pages, bytes) else pages
        count, page = len(images), request["options"].get("page", 1)
        if page > count:
            raise TemplateError(f'option "page" is {page}, but the document has {_pages(count)}')
        content = images[page - 1]
        if count > 1:
            notes.append(f"the document has {count} pages; this image is page {page}")
    if count > limits["max_pages"]:
        raise LimitExceededError(f"document has more than {limits['max_pages']} pages")
    if len(content) > limits["max_output_bytes"]:
        raise LimitExceededError(f"document is larger than {limits['max_output_bytes'] / (1 << 20):g} MB")
    if request["format"] == "png" and _pixels(content) > limits["max_pixels"]:
        raise LimitExceededError(f"image has more than {limits['max_pixels'] / 1e6:g} megapixels")
    return content, count, notes


def _refuse_other_fonts(told: list[typst_messages.Explanation]) -> None:
    """Typst warns of each family that it does not have, also of those whose names are computed."""
    for each in told:
        where, unknown, name = each.message.partition(_UNKNOWN_FONT)
        if unknown:
            message = f'{where}font family "{name}" is not installed, and strict_fonts asks for no other'
            raise TemplateError(message, line=each.line, column=each.column)


def _pages(count: int) -> str:
    return "one page" if count == 1 else f"{count} pages"


def _pixels(png: bytes) -> int:
    size = png[_PNG_SIZE]
    return int.from_bytes(size[:4]) * int.from_bytes(size[4:])


def _fonts_asked(source: str) -> tuple[str, ...]:
    """Families that `font:` names literally, in order; a name that is computed is not seen."""
    asked: dict[str, None] = {}
    for single, several in _FONT_SETTING.findall(source):
        for name in [single] if single else _QUOTED.findall(several):
            asked[name] = None
    return tuple(asked)
