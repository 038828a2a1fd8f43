"""Files in a request: multipart/form-data, read strictly and within limits, in memory.

Django's own parser is made for forms: it takes a body that was cut off, drops parts that it does not understand, and
writes temporary files. Here what is not exactly well-formed is refused (RFC 7578 and, for the layout, RFC 2046, 5.1).
"""

from dataclasses import dataclass, field
from typing import IO, Any, Final

from django.conf import settings
from django.http import UnreadablePostError
from django.utils.http import parse_header_parameters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from automette.lib.errors import MalformedRequestError
from automette.lib.http import PayloadTooLargeError

_MAX_PARTS: Final = 20
_MAX_HEADER_BYTES: Final = 4096
_MAX_TEXT_BYTES: Final = 100_000
_MAX_FILE_NAME: Final = 255
_MAX_BOUNDARY: Final = 70
_AS_IT_IS: Final = {"7bit", "8bit", "binary"}


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file. Its name is the sender's, without folders; its type is for its content to say."""

    name: str
    content: bytes = field(repr=False)


class UploadParser(BaseParser):
    """multipart/form-data to a dict of texts and Uploads; each name may occur once.

    Raises MalformedRequestError, and PayloadTooLargeError above MAX_UPLOAD_BYTES.
    """

    media_type = "multipart/form-data"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, str | Upload]:
        limit: int = settings.MAX_UPLOAD_BYTES
        boundary = _boundary(media_type or "")
        try:
            raw = stream.read(limit + 1)
        except UnreadablePostError as error:  # the connection broke, or a chunk was not well-formed
            raise MalformedRequestError("The body could not be read to its end.") from error
        if len(raw) > limit:
            raise PayloadTooLargeError(f"The body is larger than {limit:,} bytes.")
        values: dict[str, str | Upload] = {}
        for head, content in _parts(raw, boundary):
            name, value = _named_value(head, content)
            if name in values:
                raise _malformed(f"the part {name[:100]!r} occurs twice")
            values[name] = value
        return values


def is_upload(request: Request) -> bool:
    """Whether the body is multipart/form-data, for addresses that take JSON as well."""
    return request.content_type.lower().startswith(UploadParser.media_type)


def _malformed(reason: str) -> MalformedRequestError:
    return MalformedRequestError(f"The body is not valid multipart/form-data: {reason}.")


def _boundary(media_type: str) -> bytes:
    boundary = parse_header_parameters(media_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        raise _malformed("its Content-Type names no boundary")
    return boundary.encode()


def _parts(raw: bytes, boundary: bytes) -> list[tuple[str, bytes]]:
    """Return the headers and the content of every part; the last boundary must be there, so nothing is cut off."""
    opening, *parts = (b"\r\n" + raw.removeprefix(b"\r\n")).split(b"\r\n--" + boundary, _MAX_PARTS + 2)
    if opening or not parts:
        raise _malformed("it does not begin with its boundary")
    *parts, end = parts
    if len(parts) > _MAX_PARTS:
        raise _malformed(f"it has more than {_MAX_PARTS} parts")
    if end not in {b"--", b"--\r\n"}:
        raise _malformed("it does not end with its boundary")
    return [_head_and_content(part) for part in parts]


def _head_and_content(part: bytes) -> tuple[str, bytes]:
    end = part.find(b"\r\n\r\n", 0, _MAX_HEADER_BYTES)
    if not part.startswith(b"\r\n") or end < 0:
        raise _malformed("the headers of a part have no end or are too long")
    try:
        return part[2:end].decode(), part[end + 4 :]
    except UnicodeDecodeError as error:
        raise _malformed("the headers of a part are not UTF-8 text") from error


def _named_value(head: str, content: bytes) -> tuple[str, str | Upload]:
    lines = (line.partition(":") for line in head.split("\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    try:
        kind, parameters = parse_header_parameters(headers.get("content-disposition", ""))
    except ValueError as error:  # a character set that nobody knows
        raise _malformed("the headers of a part cannot be read") from error
    name = parameters.get("name", "")
    if kind != "form-data" or not name:
        raise _malformed("a part has no name")
    if headers.get("content-transfer-encoding", "binary").lower() not in _AS_IT_IS:
        raise _malformed(f"the part {name[:100]!r} has a Content-Transfer-Encoding, which forms do not have")
    if "filename" in parameters:
        return name, Upload(_base_name(parameters["filename"]), content)
    if len(content) > _MAX_TEXT_BYTES:
        raise PayloadTooLargeError(f"{name[:100]}: longer than {_MAX_TEXT_BYTES:,} bytes; files need a file name.")
    try:
        return name, content.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"the part {name[:100]!r} is not UTF-8 text") from error


def _base_name(filename: str) -> str:
    """Leave out the folders that some senders put before the name of a file."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    if len(name) > _MAX_FILE_NAME:
        raise _malformed(f"a file name is longer than {_MAX_FILE_NAME} characters")
    return name


@extend_schema_field(OpenApiTypes.BINARY)
class UploadField(serializers.Field[Upload, Any, Any, Any]):
    """A part of the body that is a file."""

    default_error_messages = {"invalid": "Must be a file: a part with a file name."}

    def to_internal_value(self, data: Any) -> Upload:
        if not isinstance(data, Upload):
            self.fail("invalid")
        return data
