"""What a file really is when it is called .docx and is not one: each case gets a sentence that says what to do."""

from collections.abc import Mapping
from typing import Final

from workers.errors import TemplateError

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_LOCK_FILE_BYTES = 162
_HEAD_BYTES = 1024
_SAVE_AS = "open it in Word or LibreOffice and save it as .docx (Word document)"
_ODF = "application/vnd.oasis.opendocument."
_OTHER_OFFICE: Final = {"xl/workbook.xml": "an Excel workbook", "ppt/presentation.xml": "a PowerPoint presentation"}


def refuse_other_formats(content: bytes) -> None:
    """Raise TemplateError unless the bytes begin as a zip does."""
    if content.startswith(_ZIP):
        return
    if not content:
        raise TemplateError("the file is empty")
    if content.startswith(_OLE2):
        if _ENCRYPTED_STREAM in content:
            raise TemplateError("the file is encrypted; remove its password in Word and upload it again")
        raise TemplateError(f"the file is in the format of Word 97-2003 (.doc); {_SAVE_AS}")
    raise TemplateError(f"the file is not a Word document{_guess(content)}; {_SAVE_AS}")


def refuse_other_packages(parts: Mapping[str, bytes]) -> None:
    """Raise TemplateError for a zip without the list of content types that every Office file has."""
    kind = parts.get("mimetype", b"").decode("latin-1").strip()
    if kind.startswith(_ODF):
        raise TemplateError(f"the file is an OpenDocument file (such as .odt), not a .docx; {_SAVE_AS}")
    if kind:
        raise TemplateError(f"the file is a {kind[:60]} file, not a .docx; {_SAVE_AS}")
    raise TemplateError(f"the file is a zip archive, but not a Word document; {_SAVE_AS}")


def other_office_file(parts: Mapping[str, bytes]) -> str | None:
    """The name of another Office format, by the part that only it has."""
    return next((name for part, name in _OTHER_OFFICE.items() if part in parts), None)


def _guess(content: bytes) -> str:
    head = content[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"{\\rtf"):
        return " but RTF"
    if head.startswith(b"%pdf-"):
        return " but a PDF"
    if head.startswith(b"<?xml") and b"<html" not in head:
        return " but an XML file (perhaps Word 2003 XML)"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<!--", b"<meta")):
        return " but a web page (HTML)"
    if len(content) == _LOCK_FILE_BYTES and content[1 : 1 + content[0]].isascii():
        return " but the lock file that Word keeps beside an open document"
    return ""
