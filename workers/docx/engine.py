"""The engine for Word templates inside a child: clean an upload, fill a template, turn the result into a PDF.

LibreOffice writes, so its children have a scratch folder. Without LibreOffice everything but PDF works.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, Final

from docx import Document

from workers.docx import images, locale_filters, office
from workers.docx.fields import extract_docx_fields
from workers.docx.fonts import fonts_asked
from workers.docx.jinja import DocxEnvironment
from workers.docx.lighten import without_unused_table_styles
from workers.docx.options import pdf_filter
from workers.docx.package import read_parts, write_parts
from workers.docx.pdf_metadata import correct_metadata
from workers.docx.render import fill
from workers.docx.sanitise import sanitise
from workers.docx.team_fonts import Face, embed_fonts
from workers.engines.needs import FONTS, ROOT, SCRATCH, ChildNeeds, font_folders
from workers.engines.pdf import embedded_fonts, family_key
from workers.engines.pdf_standards import confirm_standards
from workers.engines.remote import SCHEMES, RemoteFiles
from workers.engines.typst_compiler import load_fonts
from workers.errors import EngineError, LimitExceededError, TemplateError

_SYSTEM_FONTS: Final = ("/usr/share/fonts", "/usr/local/share/fonts")
"""LibreOffice uses these as well."""
_STANDS_IN_FOR_SYMBOLS: Final = ("OpenSymbol",)
"""Bullets ask for Symbol or Wingdings, which nobody but Microsoft has."""
_NO_LIMITS: Final = {"max_pages": 10, "max_output_bytes": 1 << 20}


class DocxEngine:
    """Renders one job after the other. Built in the zygote, opened in the child, never used by two teams."""

    name = "docx"

    def __init__(self, fonts: str, package_path: str = "") -> None:
        images.prepare()
        locale_filters.preload()
        self._blank = _use_everything_once()
        program = office.find_program()
        self._office = office.Office(program, fonts) if program else None
        self._families = load_fonts([*font_folders(fonts), *_SYSTEM_FONTS], embedded=False).families
        self._team_faces: list[Face] = []
        self._environment = DocxEnvironment()
        self._root = Path()
        if self._office:
            self._office.settle()  # as late as possible, so that there is little left to wait for

    @classmethod
    def needs(cls) -> ChildNeeds:
        program = office.find_program()
        return office.needs(program) if program else ChildNeeds()

    def open(self, slot: str) -> None:
        """Start LibreOffice in this child and pay now for what the first document would pay."""
        self._root = Path(slot, ROOT)
        if own := font_folders(f"{slot}/{FONTS}"):
            team = load_fonts(own, embedded=False)
            self._team_faces = [
                Face(font.family, font.weight, font.style != "normal", Path(font.path))
                for font in team.book.fonts()
                if font.path
            ]
            self._families = {**self._families, **team.families}
        if self._office:
            self._office.open(Path(slot, SCRATCH))
            self._office.convert(self._blank, {}, _NO_LIMITS)

    def render(self, request: Mapping[str, Any], source: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        """Give what `RenderedDocument` holds besides the content, and the content. Raises RenderError.

        `pages` is 1 when nobody has laid the document out. For `both` the content is the PDF, then the .docx, and
        `sizes` tells their sizes in that order. For `template`, `fields` tells what the upload asks for.
        """
        if request["format"] == "template":
            return self._read_template(source)
        options, limits = request["options"], request["limits"]
        if request["format"] != "docx" and self._office is None:
            raise EngineError(office.INSTALL_HINT)
        remote = RemoteFiles(request.get("remote", {}), str(self._root))

        def read_file(name: str) -> bytes | None:
            if not name.lower().startswith(SCHEMES):
                return self._read_file(name)
            content = remote.read(name)
            return images.PLACEHOLDER if content is None else content

        filled, warnings = fill(source, data, read_file, options["locale"], self._environment)
        remote.check()
        head: dict[str, Any] = {
            "pages": 1,
            "warnings": warnings,
            "fonts_asked": fonts_asked(filled),
            "fonts_used": (),
        }
        if request["format"] == "docx" or self._office is None:
            return head, _packed(filled, limits["max_output_bytes"])
        pdf = self._converted(self._office, filled, request, head)
        if request["format"] == "both":
            document = _packed(filled, limits["max_output_bytes"])
            head["sizes"] = [len(pdf), len(document)]
            return head, pdf + document
        return head, pdf

    def _converted(
        self, program: office.Office, filled: Mapping[str, bytes], request: Mapping[str, Any], head: dict[str, Any]
    ) -> bytes:
        """The PDF of a filled document; what is known of it goes into the head."""
        options, asked = request["options"], fonts_asked(filled, all_scripts=True)
        standards = options.get("pdf_standard", [])
        copy = without_unused_table_styles(filled)
        embed_fonts(copy, self._team_faces, asked)
        document = write_parts(copy, packed=False)
        pdf, head["pages"] = program.convert(document, pdf_filter(standards), request["limits"])
        pdf = correct_metadata(pdf, standards, options["timestamp"])
        head["standards"] = confirm_standards(pdf, standards)
        head["fonts_used"] = embedded_fonts(pdf, self._families)
        wanted = {family_key(name) for name in (*asked, *_STANDS_IN_FOR_SYMBOLS)}
        if others := [name for name in head["fonts_used"] if family_key(name) not in wanted]:
            message = f"{', '.join(others)} stands in for fonts of the document that are not installed"
            if options.get("strict_fonts"):
                raise TemplateError(f"{message}, and strict_fonts asks for no other")
            head["warnings"] = [*head["warnings"], message]
        return pdf

    def _read_template(self, source: bytes) -> tuple[dict[str, Any], bytes]:
        clean, warnings = sanitise(source)
        fields, doubts = extract_docx_fields(clean)
        return {
            "pages": 1,
            "warnings": [*warnings, *doubts],
            "fields": [asdict(field) for field in fields],
            "fonts_asked": fonts_asked(read_parts(clean)),
            "fonts_used": (),
        }, clean

    def _read_file(self, name: str) -> bytes | None:
        """A file of the job by its name; only plain files below the root, whatever the name says."""
        steps = PurePosixPath(name).parts
        if not steps or name.startswith("/") or ".." in steps or "\x00" in name:
            return None
        try:
            handle = os.open(self._root.joinpath(*steps), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            return file.read(images.MAX_IMAGE_BYTES + 1)


def _packed(parts: Mapping[str, bytes], max_bytes: int) -> bytes:
    document = write_parts(parts)
    if len(document) > max_bytes:
        raise LimitExceededError(f"document is larger than {max_bytes / (1 << 20):g} MB")
    return document


def _use_everything_once() -> bytes:
    """Have Python load what filling in needs, while it may read files; gives a small document for LibreOffice."""
    document = Document()
    document.add_paragraph("Ready {{ x|number }} {{ i|image(5) }} {{ [{'text': 'x', 'bold': true}]|richtext }}")
    document.add_table(1, 1).cell(0, 0).text = "{{ d|date }}"
    document.sections[0].header.paragraphs[0].text = "{{ x }}"
    target = io.BytesIO()
    document.save(target)
    clean, _ = sanitise(target.getvalue())
    extract_docx_fields(clean)
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    data = f'{{"x": 1, "d": "2026-04-22", "i": "{pixel}"}}'.encode()
    filled, _ = fill(clean, data, lambda _: None)
    fonts_asked(filled)
    without_unused_table_styles(filled)
    return write_parts(filled)
