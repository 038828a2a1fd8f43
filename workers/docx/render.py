"""Fill a cleaned .docx with data: body, headers, footers, footnotes, endnotes and the document's properties.

docxtpl turns the text that Word has cut into runs into one template per part, and repairs tables afterwards; the
language is the sandbox of `jinja.py`, and what it prints is placed in the tree by `placing.py`.
"""

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, NoReturn, cast

from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import OpcError
from docx.opc.packuri import PackURI
from docx.opc.pkgwriter import PackageWriter
from docx.oxml import parse_xml
from docxtpl import DocxTemplate
from jinja2 import TemplateSyntaxError
from lxml import etree

from workers.docx.dialects import find_foreign_tag, find_likely_foreign_tag
from workers.docx.field_codes import neutralise_fields
from workers.docx.images import ReadFile, load_image
from workers.docx.jinja import DocxEnvironment
from workers.docx.locale_filters import DEFAULT_LOCALE, make_filters
from workers.docx.paragraphs import (
    TextPart,
    check_tags_are_closed,
    have_tags,
    number_tags,
    read_paragraphs,
    tag_on_line,
)
from workers.docx.placing import Placer
from workers.docx.values import (
    EMU_PER_MM,
    MARK,
    MARK_END,
    MARK_START,
    Image,
    Placed,
    RichText,
    read_image,
    read_rich_text,
    read_value,
)
from workers.errors import LimitExceededError, TemplateError

MAX_FILLED_CHARACTERS: Final = 100 << 20
_NOTES: Final = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml": "footnotes",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.endnotes+xml": "endnotes",
}
_PROPERTIES: Final = ("author", "category", "comments", "identifier", "keywords", "language", "subject", "title")
_MAX_PROPERTY_CHARACTERS = 255
_WIDEST_UNASKED = 160 * EMU_PER_MM
"""An image without a size is not made wider than the text of a usual page."""
_MAX_SAID_CHARACTERS = 300
_TEMPLATE_FILE = "<template>"
_UNREADABLE: Final = (OpcError, zipfile.BadZipFile, KeyError, ValueError, AttributeError, etree.XMLSyntaxError)
_NOT_WELL_FORMED = (
    "a loop or a condition begins in one place (a cell, a row, a paragraph) and ends in another; write "
    "{%tr for ... %} and {%tr endfor %} in rows of their own, {%p ... %} in paragraphs of their own"
)


def fill(
    content: bytes,
    data: bytes,
    read_file: ReadFile,
    locale: str = DEFAULT_LOCALE,
    environment: DocxEnvironment | None = None,
) -> tuple[dict[str, bytes], list[str]]:
    """The parts of the filled document, and warnings.

    `data` is JSON; it is read anew for each render, so nothing outlives one. An `environment` that is given again
    saves compiling the same template.

    Raises TemplateError that names the place, LimitExceededError.
    """
    filling = _Filling(content, read_file, make_filters(locale), environment or DocxEnvironment())
    return filling.fill(read_data(data)), filling.warnings


def read_data(data: bytes) -> dict[str, Any]:
    """The values of a JSON object. Raises TemplateError."""
    try:
        values = json.loads(data, parse_constant=_refuse_constant)
        data.decode()  # not what json guesses: UTF-8 only
        if "\\ud" in data.decode().casefold():
            json.dumps(values, ensure_ascii=False).encode()
    except RecursionError as error:
        raise TemplateError("data is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise TemplateError("data holds half of a surrogate pair, which is not text") from error
    except ValueError as error:
        raise TemplateError(f"data is not valid JSON: {str(error).partition(';')[0]}") from error
    if not isinstance(values, dict):
        raise TemplateError("data must be a JSON object")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def compile_template(content: bytes) -> tuple[DocxEnvironment, list[str], list[str]]:
    """The sources of all parts, compiled once to see that they can be, and warnings. Raises TemplateError."""
    filling = _Filling(content, lambda _: None, make_filters(DEFAULT_LOCALE), DocxEnvironment())
    return filling.environment, filling.sources(), filling.warnings


class _Collected:
    """Takes parts from python-docx as its writer of zip files does."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def write(self, uri: PackURI, blob: bytes) -> None:
        self.parts[uri.membername] = blob


class _Filling:
    """One render of one template."""

    def __init__(
        self, content: bytes, read_file: ReadFile, filters: Mapping[str, Any], environment: DocxEnvironment
    ) -> None:
        self._read_file = read_file
        self._values: list[Image | RichText] = []
        self._template = DocxTemplate(io.BytesIO(content))
        self.warnings: list[str] = []
        self.environment = environment
        environment.begin(self._place, {**filters, "image": self._image, "richtext": self._rich_text})
        try:
            self._template.render_init()
        except _UNREADABLE as error:
            raise TemplateError("the document cannot be opened; save it again in Word and upload it again") from error
        self._document: Any = self._template.docx

    def fill(self, context: dict[str, Any]) -> dict[str, bytes]:
        for text, part, xml in self._parts():
            rendered = self._render(text, xml, context)
            if rendered is not None:
                self._put(part, self._tree(text, rendered), text)
        self._fill_properties(context)
        package = self._document.part.package
        parts: list[Any] = list(package.parts)
        for part in parts:
            part.before_marshal()
        collected, writer = _Collected(), cast("Any", PackageWriter)
        # what python-docx does when it saves, into a dictionary instead of a zip that would be unpacked again
        writer._write_content_types_stream(collected, parts)  # noqa: SLF001
        writer._write_pkg_rels(collected, package.rels)  # noqa: SLF001
        writer._write_parts(collected, parts)  # noqa: SLF001
        return collected.parts

    def sources(self) -> list[str]:
        found, seen = [], []
        for text, _, xml in self._parts():
            seen.append(text)
            source = self._source(text, xml)
            if source is not None:
                self._compile(text, source)
                found.append(source)
        for name, value in self._properties():
            self._compile(_property(name, value), number_tags(value))
            found.append(value)
        if not have_tags(seen):
            for text in seen:
                if likely := find_likely_foreign_tag(text.paragraphs):
                    self.warnings.append(f"{text.name}, paragraph {likely[0]}: {likely[1]}")
                    break
        return found

    # ---- Parts ----------------------------------------------------------------------------------------

    def _parts(self) -> Iterator[tuple[TextPart, Any, str]]:
        """Each part with text, once, as people call it, and its XML."""
        main = self._document.part
        body = main.element.body
        yield TextPart("body", read_paragraphs(body)), main, self._template.get_xml()
        for kind, name in ((RELATIONSHIP_TYPE.HEADER, "header"), (RELATIONSHIP_TYPE.FOOTER, "footer")):
            parts = dict.fromkeys(each.target_part for each in main.rels.values() if each.reltype == kind)
            for number, part in enumerate(parts, start=1):
                called = name if len(parts) == 1 else f"{name} {number}"
                yield TextPart(called, read_paragraphs(part.element)), part, self._template.get_part_xml(part)
        for part in list(main.package.iter_parts()):
            if part.content_type in _NOTES:
                root = parse_xml(part.blob)
                xml = etree.tostring(root, encoding="unicode")
                yield TextPart(_NOTES[part.content_type], read_paragraphs(root)), part, xml

    def _put(self, part: Any, root: Any, text: TextPart) -> None:
        placer = Placer(self._values, lambda image: self._picture(part, image, text), lambda url: _link(part, url))
        placer.place(root)
        for keyword in neutralise_fields(root):
            self.warnings.append(f"turned a {keyword} field into plain text: it could read files or addresses")
        self._template.fix_docpr_ids(root)
        if part is self._document.part:
            self._template.map_tree(root)
        elif part.content_type in _NOTES:
            part._blob = etree.tostring(root, encoding="UTF-8", standalone=True)  # noqa: SLF001 - python-docx has no setter
        else:
            part._element = root  # noqa: SLF001 - nor here

    def _tree(self, text: TextPart, xml: str) -> Any:
        if len(xml) > MAX_FILLED_CHARACTERS:
            raise LimitExceededError(f"filled-in document is larger than {MAX_FILLED_CHARACTERS >> 20} MB")
        try:
            root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.XMLSyntaxError as error:
            raise text.fail(_NOT_WELL_FORMED, None) from error
        has_table = text.name == "body" and "<w:tbl" in xml
        return self._template.fix_tables(xml) if has_table else root

    # ---- The language ---------------------------------------------------------------------------------

    def _source(self, text: TextPart, xml: str) -> str | None:
        """The part as one template, None when it has no tags. Raises TemplateError for what cannot be ours."""
        if foreign := find_foreign_tag(text.paragraphs):
            raise text.fail(foreign[1], foreign[0])
        check_tags_are_closed(text)
        if not re.search(r"\{(?:<[^>]*>)*[{%#_]", xml):
            return None
        return number_tags(self._template.patch_xml(xml))

    def _render(self, text: TextPart, xml: str, context: dict[str, Any]) -> str | None:
        source = self._source(text, xml)
        if source is None:
            return None
        template = self._compile(text, source)
        try:
            return _with_literal_braces(template.render(context))
        except (MemoryError, LimitExceededError):
            raise
        # whatever a stranger's expression may raise: a type, an arithmetic, a recursion error
        except Exception as error:
            raise _located(error, text, source) from error

    def _compile(self, text: TextPart, source: str) -> Any:
        try:
            return self.environment.compiled(source)
        except (TemplateSyntaxError, RecursionError, ValueError, OverflowError) as error:
            raise _located(error, text, source) from error

    def _properties(self) -> Iterator[tuple[str, str]]:
        """The document's properties that hold tags; the part is not made when the document has none."""
        package = self._document.part.package
        if any(each.reltype == RELATIONSHIP_TYPE.CORE_PROPERTIES for each in package.rels.values()):
            for name in _PROPERTIES:
                value = str(getattr(package.core_properties, name) or "")
                if "{" in value:
                    yield name, value

    def _fill_properties(self, context: dict[str, Any]) -> None:
        for name, value in self._properties():
            text = _property(name, value)
            if foreign := find_foreign_tag(text.paragraphs):
                raise text.fail(foreign[1], None)
            source = number_tags(value)
            template = self._compile(text, source)
            try:
                printed = str(template.render(context))
            except MemoryError:
                raise
            # as for the other parts
            except Exception as error:
                raise _located(error, text, source) from error
            filled = _unescape(printed)[:_MAX_PROPERTY_CHARACTERS]
            setattr(self._document.part.package.core_properties, name, filled)

    # ---- Values ---------------------------------------------------------------------------------------

    def _place(self, value: Mapping[str, Any]) -> Placed:
        return self._mark(read_value(value))

    def _mark(self, value: Image | RichText) -> Placed:
        """Keep a value; an image is read at once, while it is known which tag asked for it."""
        if isinstance(value, Image):
            value = replace(value, content=load_image(value.name, self._read_file))
        self._values.append(value)
        return Placed(f"{MARK_START}{len(self._values) - 1}{MARK_END}")

    def _image(self, value: Any, width: Any = None, height: Any = None, alt: Any = None) -> Placed | str:
        if not value:
            return ""
        if isinstance(value, dict):
            width, height = width or value.get("width"), height or value.get("height")
            alt, value = alt or value.get("alt"), value.get("image")
        return self._mark(read_image(value, width, height, alt))

    def _rich_text(self, value: Any) -> Placed | str:
        if not value:
            return ""
        is_wrapped = isinstance(value, dict) and "richtext" in value
        return self._mark(read_rich_text(value["richtext"] if is_wrapped else value))

    def _picture(self, part: Any, image: Image, text: TextPart) -> Any:
        if not hasattr(part, "new_pic_inline"):
            raise text.fail("an image cannot stand in a footnote or an endnote", None)
        inline = part.new_pic_inline(io.BytesIO(image.content), image.width, image.height)
        if image.width is None and image.height is None and inline.extent.cx > _WIDEST_UNASKED:
            inline = part.new_pic_inline(io.BytesIO(image.content), _WIDEST_UNASKED, None)
        inline.docPr.set("descr", image.alt)
        return inline


def _link(part: Any, address: str) -> str:
    return str(part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))


def _property(name: str, value: str) -> TextPart:
    return TextPart(f'document property "{name}"', (value,))


def _with_literal_braces(text: str) -> str:
    """The way of docxtpl to print braces: {_{ and }_}."""
    return text.replace("{_{", "{{").replace("}_}", "}}").replace("{_%", "{%").replace("%_}", "%}")


def _unescape(text: str) -> str:
    return MARK.sub("", html.unescape(text)).replace("\n", " ")


def _located(error: BaseException, text: TextPart, source: str) -> TemplateError:
    """The error with the paragraph of the tag that raised it."""
    said = str(getattr(error, "message", None) or error or type(error).__name__)[:_MAX_SAID_CHARACTERS]
    if isinstance(error, RecursionError):
        said = "the template calls itself too deeply"
    line = getattr(error, "lineno", None) or _line_of(error.__traceback__)
    found = tag_on_line(source, line) if line else None
    if found is None:
        return text.fail(said, None)
    tag, nth = found
    return text.fail(said, text.find(tag, nth), tag)


def _line_of(traceback: TracebackType | None) -> int | None:
    """The innermost line of the template: Jinja rewrites tracebacks so that they show its lines."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == _TEMPLATE_FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
