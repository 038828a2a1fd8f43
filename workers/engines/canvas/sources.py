"""Where an image comes from: a file of the template by its name, a data: URI, or an address on the web."""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote_to_bytes

from workers.engines.canvas.schema import shown
from workers.engines.remote import SCHEMES, RemoteFiles
from workers.errors import TemplateError

_DATA: Final = re.compile(r"data:([^,]{0,200}),", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_BLANKS: Final = re.compile(rb"\s+")


@dataclass(frozen=True, slots=True)
class TemplateFiles:
    """What a document can show: files below `root`, and what was fetched from the web."""

    root: str
    remote: RemoteFiles


def read_source(source: str, files: TemplateFiles) -> bytes | None:
    """The bytes that a source names; None for an address that is still to be fetched. Raises TemplateError."""
    if source.lower().startswith(SCHEMES):
        return files.remote.read(source)
    if found := _DATA.match(source):
        return _decoded(source[found.end() :], is_base64=found[1].lower().rstrip().endswith(";base64"))
    if source.lower().startswith("data:"):
        raise TemplateError("is a data: URI without a comma")
    if _SCHEME.match(source):
        raise TemplateError("is an address of a kind that is not fetched; give one that begins with https://")
    parts = PurePosixPath(source).parts
    if source.startswith("/") or ".." in parts or "\0" in source:
        raise TemplateError(f'"{shown(source)}" is not a plain relative path')
    try:
        with open(f"{files.root}/{source}", "rb") as file:  # noqa: PTH123 - a child is not to import more than it must
            return file.read()
    except (OSError, UnicodeEncodeError) as error:
        raise TemplateError(f'names the file "{shown(source)}", which the template does not have') from error


def _decoded(text: str, *, is_base64: bool) -> bytes:
    content = unquote_to_bytes(text)
    if not is_base64:
        return content
    try:
        return base64.b64decode(_BLANKS.sub(b"", content), validate=True)
    except binascii.Error as error:
        raise TemplateError("is a data: URI that is not valid base64") from error
