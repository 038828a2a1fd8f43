"""Make an uploaded .docx safe to keep, to fill in and to hand on: refuse only what cannot be made safe.

Refusing every embedded part or outside reference would refuse one real Word file in ten. What is dropped or
repaired instead is told as a warning. Parsing a stranger's XML takes memory: call this in an engine's child.
"""

import io
import zipfile
from collections.abc import Iterable
from typing import Any, Final

from workers.docx import relationships
from workers.docx.content_types import MAIN, SECOND_STYLES, TEMPLATE_MAIN, WORKBOOK, ContentTypes
from workers.docx.field_codes import neutralise_fields
from workers.docx.package import CONTENT_TYPES, read_parts, write_parts
from workers.docx.recognise import other_office_file, refuse_other_packages
from workers.docx.xml import PACKAGE_RELATIONSHIP, R, W, parse_part, serialise
from workers.errors import TemplateError

MAX_WARNINGS: Final = 20
_ROOT_RELS = "_rels/.rels"
_MACROS = "the document holds macros; save it as .docx (Word document without macros) and upload it again"
_REFUSED_TYPES: Final = {
    "vbaproject": _MACROS,
    "vbadata": _MACROS,
    "macroenabled": _MACROS,
    "activex": "the document holds an ActiveX control; remove it and upload it again",
    "oleobject": "the document holds an embedded object (OLE); paste it as a picture and upload it again",
}
_REFUSED_ELEMENTS: Final = {
    W + "altChunk": "another document inside (altChunk); copy its text into the document",
    W + "control": "an ActiveX control; remove it",
    "{urn:schemas-microsoft-com:office:office}OLEObject": "an embedded object (OLE); paste it as a picture",
}
_POSTSCRIPT: Final = (b"%!", b"\x04%!", b"\xc5\xd0\xd3\xc6")
"""Plain, as printers get it, and with the header that Windows gives to EPS."""
_DROPPED_ELEMENTS: Final = tuple(
    W + name for name in ("attachedTemplate", "mailMerge", "saveThroughXslt", "subDoc", "sourceFileName")
)
"""They mean nothing without the relationship that was dropped, or hold addresses and queries themselves."""
_VML = "{urn:schemas-microsoft-com:vml}"
_VML_LOADS: Final = ("src", "{urn:schemas-microsoft-com:office:office}href")
_MARKS = b"\xef\xbb\xbf\xfe\xff\x00 \t\r\n"  # byte order marks, space, and the other half of UTF-16
_SAFE_LINKS: Final = ("http://", "https://", "mailto:", "#")


def sanitise(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The same document without what could do harm, and what was changed, in sentences.

    Doing it again changes nothing. Raises TemplateError with a sentence that says what to do about it.
    """
    parts = read_parts(content)
    if CONTENT_TYPES not in parts:
        refuse_other_packages(parts)
    types = ContentTypes(parts[CONTENT_TYPES])
    warnings: dict[str, None] = {}
    _check_main_part(parts, types, warnings)
    _check_kinds(parts, types)
    _drop_postscript(parts, warnings)
    _drop_second_styles(parts, types)
    dropped = _clean_all_relationships(parts, types, warnings)
    for name in sorted(parts):
        if not name.endswith(".rels") and name != CONTENT_TYPES and _is_xml(name, parts[name], types):
            parts[name] = _clean_part(parts[name], name, dropped.get(name, set()), warnings)
    return write_parts(parts), _limited(warnings)


def _check_main_part(parts: dict[str, bytes], types: ContentTypes, warnings: dict[str, None]) -> None:
    root = parse_part(parts.get(_ROOT_RELS, b"<none/>"), _ROOT_RELS)
    found = [each for each in root.iter(PACKAGE_RELATIONSHIP) if relationships.kind_of(each) == "officeDocument"]
    if any(each.get("Type", "").startswith(relationships.STRICT_PREFIX) for each in found):
        raise TemplateError(
            'the file is saved as "Strict Open XML Document"; save it in Word as "Word Document (*.docx)"'
        )
    main = relationships.target_part("", found[0].get("Target", "")) if len(found) == 1 else ""
    kind = types.of(main)
    if "macroEnabled" in kind:
        raise TemplateError(_MACROS)
    if kind == TEMPLATE_MAIN and types.has_own_entry(main):
        types.set(main, MAIN)
        parts[CONTENT_TYPES] = serialise(types.root)
        warnings["turned the Word template (.dotx) into a document"] = None
    elif kind != MAIN or main not in parts:
        other = other_office_file(parts)
        is_what = f"is {other}, not" if other else "is not"
        raise TemplateError(f"the file {is_what} a Word document; save it in Word as .docx and upload it again")


def _check_kinds(parts: dict[str, bytes], types: ContentTypes) -> None:
    for name, content in parts.items():
        said = (types.of(name) + " " + name).casefold()
        for kind, message in _REFUSED_TYPES.items():
            if kind in said:
                raise TemplateError(message)
        if types.of(name) == WORKBOOK:
            _check_workbook(content)


def _drop_second_styles(parts: dict[str, bytes], types: ContentTypes) -> None:
    """Half a megabyte that each render would unpack and pack again; the reference to it goes without a warning."""
    for name in [name for name in parts if types.of(name) == SECOND_STYLES]:
        del parts[name]


def _drop_postscript(parts: dict[str, bytes], warnings: dict[str, None]) -> None:
    """PostScript is a program, and LibreOffice starts other programs to draw it. References to it go with it."""
    for name in [name for name, content in parts.items() if content.startswith(_POSTSCRIPT)]:
        del parts[name]
        warnings[f"removed the picture {name[:80]!r}, which is PostScript (EPS); save it as PNG"] = None


def _check_workbook(content: bytes) -> None:
    """The workbook behind a chart is kept as it is, so it must be one and must hold no macros."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = " ".join(archive.namelist()).casefold()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise TemplateError("the workbook behind a chart is damaged; make the chart again") from error
    if "vbaproject" in names or "activex" in names or "embeddings/" in names:
        raise TemplateError("the workbook behind a chart holds macros or objects; paste the chart as a picture")


def _clean_all_relationships(
    parts: dict[str, bytes], types: ContentTypes, warnings: dict[str, None]
) -> dict[str, set[str]]:
    """The dropped ids by source part."""
    dropped: dict[str, set[str]] = {}
    for name in [name for name in parts if name.endswith(".rels")]:
        source = relationships.source_of(name)
        root = parse_part(parts[name], name)
        cleaned = relationships.clean_relationships(root, source, parts, types)
        dropped[source] = cleaned.dropped
        warnings.update(dict.fromkeys(cleaned.warnings))
        if cleaned.changed:
            parts[name] = serialise(root)
    return dropped


def _is_xml(name: str, content: bytes, types: ContentTypes) -> bool:
    """By its bytes too: programs follow relationships and may parse what calls itself a picture."""
    if content.lstrip(_MARKS).startswith(b"<"):
        return True
    kind = types.of(name)
    return kind.endswith(("+xml", "/xml", "vmlDrawing")) or name.casefold().endswith((".xml", ".vml"))


def _clean_part(content: bytes, name: str, dropped: set[str], warnings: dict[str, None]) -> bytes:
    """A part without forbidden fields and without mention of what was dropped; its own bytes when nothing was."""
    root = parse_part(content, name)
    is_utf8 = (root.getroottree().docinfo.encoding or "UTF-8").upper() in {"UTF-8", "ASCII", "US-ASCII"}
    for element in root.iter(*_REFUSED_ELEMENTS):
        raise TemplateError(f"the document holds {_REFUSED_ELEMENTS[element.tag]} and upload it again")
    fields = neutralise_fields(root)
    for keyword in fields:
        warnings[f"turned a {keyword} field into plain text: it could read files or addresses"] = None
    changes = [bool(fields), _drop_elements(root), _drop_ids(root, dropped), _drop_vml_sources(root)]
    return serialise(root) if any(changes) or not is_utf8 else content


def _drop_elements(root: Any) -> bool:
    elements = list(root.iter(*_DROPPED_ELEMENTS))
    for element in elements:
        element.getparent().remove(element)
    return bool(elements)


def _drop_ids(root: Any, dropped: set[str]) -> bool:
    changed = False
    for element in root.iter() if dropped else ():
        for attribute, value in element.attrib.items():
            if value in dropped and attribute.startswith(R):
                del element.attrib[attribute]
                changed = True
    return changed


def _drop_vml_sources(root: Any) -> bool:
    """Old drawings may name a picture by address, without a relationship."""
    changed = False
    for element in root.iter(_VML + "*"):
        for attribute in _VML_LOADS:
            changed |= element.attrib.pop(attribute, None) is not None
        link = element.get("href", "")
        if link and not link.strip().casefold().startswith(_SAFE_LINKS):
            del element.attrib["href"]
            changed = True
    return changed


def _limited(warnings: Iterable[str]) -> tuple[str, ...]:
    told = list(warnings)
    more = len(told) - MAX_WARNINGS
    return (*told[:MAX_WARNINGS], *([f"and {more} more changes"] if more > 0 else []))
