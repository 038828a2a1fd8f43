"""The options of a Word render and what they may be. Checked before a child is asked, so the answer is at once.

locale          for numbers, dates and amounts: "en" (default), "de", "fr_CA" ...
timestamp       UNIX seconds; for the dates of the PDF
pdf_standard    of the PDF: "1.5" "1.6" "a-1b" "a-2b" "a-3b" "ua-1", or a list such as ["a-2b", "ua-1"]
strict_fonts    of the PDF: true fails the render when a font had to be replaced by another
ua_compliant    of the PDF: true is short for "ua-1" among the standards
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from workers.engines.option_checks import (
    DEFAULT_TIMESTAMP,
    check_flag,
    check_pdf_standard,
    check_timestamp,
    settle_standards,
)
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
    "a-1b": {"SelectPdfVersion": {"type": "long", "value": "1"}},
    "a-2b": {"SelectPdfVersion": {"type": "long", "value": "2"}},
    "a-3b": {"SelectPdfVersion": {"type": "long", "value": "3"}},
    "ua-1": {
        "PDFUACompliance": {"type": "boolean", "value": "true"},
        "UseTaggedPDF": {"type": "boolean", "value": "true"},
    },
}
"""What LibreOffice's PDF filter calls them."""
_LEVEL_B: Final = "LibreOffice does not tell whether the demands of level {} are met: take a-{}b"
_REFUSED: Final = {
    "1.4": "LibreOffice writes PDF 1.4 only as a-1b",
    "1.7": "LibreOffice takes 1.7 and writes PDF 1.6",
    **{f"a-{part}{level}": _LEVEL_B.format(level, part) for part, level in ("1a", "2a", "2u", "3a", "3u")},
}
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


def check_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with their defaults. Raises TemplateError for a format, name or value that does not exist."""
    if format_name not in MEDIA_TYPES:
        raise TemplateError(f'format "{format_name}" does not exist; a Word template gives pdf or docx')
    checks = _CHECKS | _PDF_CHECKS if format_name in {"pdf", "both"} else _CHECKS
    checked: dict[str, Any] = {"locale": DEFAULT_LOCALE, "timestamp": DEFAULT_TIMESTAMP}
    for name, value in options.items():
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise TemplateError(f'option "{name}" does not exist for {format_name}; there is {known}')
        checked[name] = checks[name](value)
    checked = settle_standards(checked, PDF_STANDARDS, _REFUSED)
    if {"a-1b", "ua-1"} <= set(checked.get("pdf_standard", [])):
        raise TemplateError(
            "a Word template cannot become a-1b and ua-1, as LibreOffice tags no a-1b; take a-2b and ua-1"
        )
    return checked


def pdf_filter(standards: list[str]) -> dict[str, Any]:
    """The settings of LibreOffice's PDF filter for names that have been checked."""
    return {key: value for name in standards for key, value in PDF_STANDARDS[name].items()}


def _check_locale(value: Any) -> str:
    if not isinstance(value, str) or not _LOCALE.fullmatch(value):
        raise TemplateError('option "locale" must be a name such as "en", "de" or "fr_CA"')
    return value


_Check = Callable[[Any], Any]
_CHECKS: Final[dict[str, _Check]] = {"locale": _check_locale, "timestamp": check_timestamp}
_PDF_CHECKS: Final[dict[str, _Check]] = {
    "pdf_standard": check_pdf_standard,
    "ua_compliant": check_flag("ua_compliant"),
    "strict_fonts": check_flag("strict_fonts"),
}

RULES: Final = EngineRules(
    media_types=MEDIA_TYPES,
    signatures={
        "pdf": re.compile(rb"%PDF-"),
        "docx": re.compile(rb"PK\x03\x04"),
        "both": re.compile(rb"%PDF-"),
        "template": re.compile(rb"PK\x03\x04"),
    },
    check_options=check_options,
    parts={"both": ("pdf", "docx")},
    findings=("fields",),
    aborts_without_memory=False,
)
