"""Where an image comes from: a file of the template by its name, or a data: URI."""

import base64
import binascii
import re
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote_to_bytes

from workers.engines.canvas.schema import shown
from workers.errors import TemplateError

_DATA: Final = re.compile(r"data:([^,]{0,200}),", re.IGNORECASE)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_BLANKS: Final = re.compile(rb"\s+")


def read_source(source: str, root: str) -> bytes:
    """The bytes that a source names; `root` is the folder of the template's files. Raises TemplateError."""
    if found := _DATA.match(source):
        return _decoded(source[found.end() :], is_base64=found[1].lower().rstrip().endswith(";base64"))
    if source.lower().startswith("data:"):
        raise TemplateError("is a data: URI without a comma")
    if _SCHEME.match(source):
        raise TemplateError(
            "is a web address, which this server does not fetch; add the image to the template's files and give its "
            "name, or give a data: URI"
        )
    parts = PurePosixPath(source).parts
    if source.startswith("/") or ".." in parts or "\0" in source:
        raise TemplateError(f'"{shown(source)}" is not a plain relative path')
    try:
        with open(f"{root}/{source}", "rb") as file:  # noqa: PTH123 - a child is not to import more than it must
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
