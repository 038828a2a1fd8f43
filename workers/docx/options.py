"""The options of a Word render and what they may be. Checked before a child is asked, so the answer is at once.

locale          for numbers, dates and amounts: "en" (default), "de", "fr_CA" ...
pdf_standard    of the PDF: "1.5" "1.6" "1.7" "a-1b" "a-2b" "a-3b" "ua-1", or a list such as ["a-2b", "ua-1"]
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from workers.engines.rules import EngineRules
from workers.errors import TemplateError

DOCX_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "docx": DOCX_TYPE,
    "both": "application/octet-stream",
    "template": DOCX_TYPE,
}
"""`both` is the PDF with the .docx after it; `template` cleans and reads an upload instead of filling one."""
DEFAULT_LOCALE: Final = "en"
PDF_STANDARDS: Final[Mapping[str, dict[str, Any]]] = {
    "1.5": {"SelectPdfVersion": {"type": "long", "value": "15"}},
    "1.6": {"SelectPdfVersion": {"type": "long", "value": "16"}},
    "1.7": {"SelectPdfVersion": {"type": "long", "value": "17"}},
    "a-1b": {"SelectPdfVersion": {"type": "long", "value": "1"}},
    "a-2b": {"SelectPdfVersion": {"type": "long", "value": "2"}},
    "a-3b": {"SelectPdfVersion": {"type": "long", "value": "3"}},
    "ua-1": {
        "PDFUACompliance": {"type": "boolean", "value": "true"},
        "UseTaggedPDF": {"type": "boolean", "value": "true"},
    },
}
"""What LibreOffice's PDF filter calls them."""
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


def check_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with their defaults. Raises TemplateError for a format, name or value that does not exist."""
    if format_name not in MEDIA_TYPES:
        raise TemplateError(f'format "{format_name}" does not exist; a Word template gives pdf or docx')
    known = {"locale", "pdf_standard"} if format_name in {"pdf", "both"} else {"locale"}
    unknown = sorted(options.keys() - known)
    if unknown:
        names = ", ".join(sorted(known))
        raise TemplateError(f'option "{unknown[0]}" does not exist for {format_name}; there is {names}')
    checked: dict[str, Any] = {"locale": _check_locale(options.get("locale", DEFAULT_LOCALE))}
    if "pdf_standard" in options:
        checked["pdf_standard"] = _check_pdf_standard(options["pdf_standard"])
    return checked


def pdf_filter(standards: list[str]) -> dict[str, Any]:
    """The settings of LibreOffice's PDF filter for names that have been checked."""
    return {key: value for name in standards for key, value in PDF_STANDARDS[name].items()}


def _check_locale(value: Any) -> str:
    if not isinstance(value, str) or not _LOCALE.fullmatch(value):
        raise TemplateError('option "locale" must be a name such as "en", "de" or "fr_CA"')
    return value


def _check_pdf_standard(value: Any) -> list[str]:
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list | tuple) or not wanted:
        raise TemplateError('option "pdf_standard" must be a name or a list of names')
    unknown = [name for name in wanted if not isinstance(name, str) or name not in PDF_STANDARDS]
    if unknown:
        raise TemplateError(f'pdf_standard "{unknown[0]}" does not exist; there is {", ".join(PDF_STANDARDS)}')
    if sum(name != "ua-1" for name in wanted) > 1:
        raise TemplateError('option "pdf_standard" may name one version or one of a-1b, a-2b, a-3b, and ua-1 besides')
    return list(wanted)


RULES: Final = EngineRules(
    media_types=MEDIA_TYPES,
    signatures={
        "pdf": re.compile(rb"%PDF-"),
        "docx": re.compile(rb"PK\x03\x04"),
        "both": re.compile(rb"%PDF-"),
        "template": re.compile(rb"PK\x03\x04"),
    },
    check_options=check_options,
)
