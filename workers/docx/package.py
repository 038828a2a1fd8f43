"""A .docx as its parts: read with limits that hold while inflating, written anew as a plain zip.

Writing anew is part of the cleaning: bytes before, between and after the entries, comments, attributes and
doubtful headers do not survive it.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Final

from workers.archives import ArchiveRules, read_entries
from workers.docx.recognise import refuse_other_formats
from workers.errors import TemplateError

MAX_UPLOAD_BYTES: Final = 10 << 20
CONTENT_TYPES: Final = "[Content_Types].xml"
_RULES: Final = ArchiveRules(
    max_entries=2000,
    max_inflated_bytes=100 << 20,
    remedy="open it in Word or LibreOffice, save it as .docx and upload it again",
    links_are_files=True,
)
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)


def read_parts(content: bytes) -> dict[str, bytes]:
    """Every part by its name. Raises TemplateError with a sentence for whoever uploaded the file."""
    if len(content) > MAX_UPLOAD_BYTES:
        raise TemplateError(f"the file is larger than {MAX_UPLOAD_BYTES >> 20} MB; make its pictures smaller")
    refuse_other_formats(content)
    return read_entries(content, _RULES)


def write_parts(parts: Mapping[str, bytes], *, packed: bool = True) -> bytes:
    """A zip of the parts, the content types first as the format asks. Same parts, same bytes.

    Not `packed`, it is made and read again in less time: for a document that stays on this machine.
    """
    target = io.BytesIO()
    names = sorted(parts, key=lambda name: (name != CONTENT_TYPES, not name.startswith("_rels/"), name))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _FIRST_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
            archive.writestr(entry, parts[name])
    return target.getvalue()
