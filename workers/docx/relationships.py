"""What the parts of a package point to: other parts, and addresses outside, of which few may stay.

A relationship belongs to a source part and lies in `folder/_rels/name.rels`. Real files hold odd ones that are no
danger (relative links, an `attachedTemplate` that Word writes by itself): these are dropped or repaired with a
warning. Those that carry code or whole foreign documents are refused.
"""

import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from workers.docx.content_types import CHARTS, WORKBOOK, ContentTypes
from workers.docx.xml import PACKAGE_RELATIONSHIP
from workers.errors import TemplateError

OFFICE_DOCUMENT: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
STRICT_PREFIX: Final = "http://purl.oclc.org/ooxml/"
_REFUSED: Final = {
    "vbaProject": "macros (VBA); save it as .docx without macros",
    "wordVbaData": "macros (VBA); save it as .docx without macros",
    "keyMapCustomizations": "key bindings to macros; save it as .docx without macros",
    "attachedToolbars": "toolbars with macros; save it as .docx without macros",
    "control": "an ActiveX control; remove it",
    "activeXControlBinary": "an ActiveX control; remove it",
    "aFChunk": "another document inside (altChunk); copy its text into the document",
    "oleObject": "an embedded or linked object (OLE); paste it as a picture instead",
}
_DROPPED: Final = {
    "attachedTemplate": "the link to the template it was made from",
    "webextensiontaskpanes": "Office add-ins",
    "webextension": "Office add-ins",
    "extensibility": "changes to the ribbon",
    "origin": "the digital signature, which a filled-in document cannot keep",
    "mailMergeSource": "the data source of a mail merge",
    "mailMergeHeaderSource": "the data source of a mail merge",
    "recipientData": "the data source of a mail merge",
    "transform": "a style sheet to transform the file with",
    "stylesWithEffects": "",  # the styles once more, for nobody but Word 2010
}
_HYPERLINK = "hyperlink"
_SAFE_ADDRESS = re.compile(r"(https?://|mailto:)[^\s\\]*$", re.IGNORECASE)


@dataclass(slots=True)
class Cleaned:
    """`dropped` holds the ids that the source part must not mention any more."""

    dropped: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    changed: bool = False


def rels_name(part: str) -> str:
    folder, name = posixpath.split(part)
    return posixpath.join(folder, "_rels", name + ".rels")


def source_of(rels: str) -> str:
    """The part that a relationships part belongs to; "" for those of the package."""
    folder, name = posixpath.split(rels)
    return posixpath.join(posixpath.dirname(folder), name.removesuffix(".rels"))


def kind_of(relationship: Any) -> str:
    """The last word of the type, which Microsoft's, ISO's and ECMA's spellings have in common."""
    return str(relationship.get("Type", "")).rpartition("/")[2]


def target_part(source: str, target: str) -> str:
    """The name of the part that an internal target means."""
    joined = target if target.startswith("/") else posixpath.join("/", posixpath.dirname(source), target)
    return posixpath.normpath(joined).lstrip("/")


def clean_relationships(root: Any, source: str, parts: Collection[str], types: ContentTypes) -> Cleaned:
    """Drop and repair, in place, what `source` points to. Raises TemplateError for what cannot be made safe."""
    cleaned = Cleaned()
    for relationship in list(root.iter(PACKAGE_RELATIONSHIP)):
        reason = _judge(relationship, source, parts, types, cleaned)
        if reason is not None:
            root.remove(relationship)
            cleaned.dropped.add(relationship.get("Id", ""))
            cleaned.changed = True
            if reason:
                cleaned.warnings.append(reason)
    return cleaned


def _judge(
    relationship: Any, source: str, parts: Collection[str], types: ContentTypes, cleaned: Cleaned
) -> str | None:
    """None: it stays. A text: it goes, with the text as a warning unless it is empty."""
    kind, target = kind_of(relationship), relationship.get("Target", "")
    if kind in _REFUSED:
        raise TemplateError(f"the document holds {_REFUSED[kind]} and upload it again")
    if kind in _DROPPED:
        return _DROPPED[kind] and f"removed {_DROPPED[kind]}"
    if target.startswith("#"):
        if relationship.get("TargetMode") != "External":
            relationship.set("TargetMode", "External")  # else it would be read as the name of a part
            cleaned.changed = True
        return None
    if relationship.get("TargetMode") == "External":
        if kind == _HYPERLINK and _SAFE_ADDRESS.match(target.strip()):
            return None
        what = "link" if kind == _HYPERLINK else f"linked {kind}"
        return f"removed the {what} to {target[:80]!r}: only web and mail addresses can be linked to"
    return _judge_internal(kind, target_part(source, target), source, parts, types)


def _judge_internal(kind: str, part: str, source: str, parts: Collection[str], types: ContentTypes) -> str | None:
    if part not in parts:
        return f"removed a reference to {part[:80]!r}, which the file does not hold"
    if kind == "package" and (types.of(source) not in CHARTS or types.of(part) != WORKBOOK):
        raise TemplateError("the document holds an embedded file (OLE package); paste it as a picture or a table")
    return None
