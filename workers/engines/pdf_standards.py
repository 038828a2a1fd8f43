"""What a finished PDF says of itself, held against what was asked for.

A declaration is not a proof: whether the file keeps what it declares is for the engine that wrote it, and for the
tests, which read the files with other people's software. What an engine is known to declare without looking is
looked at here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from workers.engines.pdf import UnreadablePdfError
from workers.engines.pdf_objects import PdfObjects, parse_dictionary
from workers.errors import EngineError, TemplateError

_VERSION = re.compile(rb"%PDF-(\d\.\d)")
_LATER_VERSION = re.compile(rb"/(\d\.\d)")
_ARCHIVAL_PART = re.compile(rb"<pdfaid:part>\s*(\d)\s*</pdfaid:part>")
_ARCHIVAL_LEVEL = re.compile(rb"<pdfaid:conformance>\s*([A-Z])\s*</pdfaid:conformance>")
_ACCESSIBLE_PART = re.compile(rb"<pdfuaid:part>\s*(\d)\s*</pdfuaid:part>")
_TITLE = re.compile(rb"<dc:title>\s*<rdf:Alt>\s*<rdf:li[^>]*>\s*[^<\s]")
_FIGURE = re.compile(rb"/S\s*/Figure[\s/<>\[]")
_DESCRIBED: Final = b"<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>"
_TAGGED_LEVELS: Final = frozenset({"a-1a", "a-2a", "a-3a"})


def declared_standards(pdf: bytes) -> tuple[str, ...]:
    """The version of PDF and the standards that a PDF declares, by the names of the option `pdf_standard`.

    Such as `("1.7", "a-2b", "ua-1")`; a plain PDF has its version only. Raises UnreadablePdfError.
    """
    objects = PdfObjects(pdf)
    return _declared(pdf, objects, _metadata(pdf, objects))


def confirm_standards(pdf: bytes, asked: Sequence[str]) -> tuple[str, ...]:
    """Give what a PDF declares, when that is what was asked for and is not known to be untrue.

    A PDF of which nothing was asked may be unreadable and declares nothing then. Raises EngineError when an asked
    standard is not declared, TemplateError when the template lacks what the standard demands.
    """
    try:
        objects = PdfObjects(pdf)
        metadata = _metadata(pdf, objects)
        declared = _declared(pdf, objects, metadata)
        missing = [name for name in asked if name not in declared]
        if missing:
            told = f"asked to be {' and '.join(missing)}, but says of itself that it is {' and '.join(declared)}"
            raise EngineError(f"the PDF was {told}; it is not handed out as something else")
        _check_demands(pdf, objects, metadata, asked)
    except UnreadablePdfError as error:
        if not asked:
            return ()
        raise EngineError("the PDF does not say in a way that can be read which standards it follows") from error
    return declared


def _declared(pdf: bytes, objects: PdfObjects, metadata: bytes) -> tuple[str, ...]:
    header = _VERSION.match(pdf)
    if header is None:
        raise UnreadablePdfError("there is no version")
    later = _LATER_VERSION.fullmatch(objects.catalogue.get("Version", b""))
    names = [max(header[1], later[1] if later else b"").decode()]
    part, level = _one(_ARCHIVAL_PART, metadata), _one(_ARCHIVAL_LEVEL, metadata)
    if part:
        names.append(f"a-{part}{level.lower()}")
    if accessible := _one(_ACCESSIBLE_PART, metadata):
        names.append(f"ua-{accessible}")
    return tuple(names)


def _metadata(pdf: bytes, objects: PdfObjects) -> bytes:
    reference = objects.catalogue.get("Metadata")
    return pdf[slice(*objects.stream(reference))] if reference else b""


def _one(pattern: re.Pattern[bytes], metadata: bytes) -> str:
    """What is said once, or nothing. A text in metadata has no `<`, so it cannot look like an element."""
    found = {value.decode() for value in pattern.findall(metadata)}
    if len(found) > 1:
        raise UnreadablePdfError("the metadata contradicts itself")
    return found.pop() if found else ""


def _check_demands(pdf: bytes, objects: PdfObjects, metadata: bytes, asked: Sequence[str]) -> None:
    catalogue = objects.catalogue
    is_tagged = "StructTreeRoot" in catalogue and objects.value(catalogue, "MarkInfo").get("Marked") == b"true"
    if not is_tagged and ("ua-1" in asked or _TAGGED_LEVELS & set(asked)):
        raise EngineError("the PDF was asked to be accessible, but has no tags")
    if "a-4f" in asked and not _has_files(objects):
        raise TemplateError("a-4f is for documents with attached files, and this one has none: take a-4")
    if "ua-1" not in asked:
        return
    if any(name.startswith("a-") for name in asked) and _DESCRIBED not in metadata:
        raise EngineError("the PDF was asked to be PDF/A and PDF/UA, but its metadata are not those of a PDF/A")
    if not _TITLE.search(metadata):
        raise TemplateError("PDF/UA needs a title: give the document one, in Word under File, Info, Properties")
    if len(catalogue.get("Lang", b"").strip(b"()<>")) == 0:
        raise TemplateError("PDF/UA needs a language: set the document's language")
    if objects.value(catalogue, "ViewerPreferences").get("DisplayDocTitle") != b"true":
        raise EngineError("the PDF was asked to be accessible, but does not show its title")
    bare = sum(not ({"Alt", "ActualText"} & figure.keys()) for figure in _figures(pdf))
    if bare:
        pictures = "one picture has" if bare == 1 else f"{bare} pictures have"
        raise TemplateError(f"PDF/UA needs a description of every picture: {pictures} no alternative text")


def _has_files(objects: PdfObjects) -> bool:
    files = objects.value(objects.value(objects.catalogue, "Names"), "EmbeddedFiles")
    return "Kids" in files or bool(files.get("Names", b"").strip(b"[] \r\n"))


def _figures(pdf: bytes) -> Iterator[dict[str, bytes]]:
    """The structure elements of pictures. Looked for, because walking a whole tree takes longer than a render."""
    seen = 0
    for mark in _FIGURE.finditer(pdf):
        start, seen = pdf.rfind(b" obj", seen, mark.start()), mark.end()
        if start < 0:
            continue
        try:
            entries = parse_dictionary(pdf, start + len(b" obj"))
        except UnreadablePdfError:  # it only looked like one, inside a compressed stream
            continue
        if entries.get("Type") == b"/StructElem" and entries.get("S") == b"/Figure":
            yield entries
