"""The options of a Typst render and what they may be. Checked before a child is asked, so the answer is at once."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from workers.engines.rules import EngineRules
from workers.errors import TemplateError

PDF_STANDARDS: Final = (
    "1.4", "1.5", "1.6", "1.7", "2.0",
    "a-1a", "a-1b", "a-2a", "a-2b", "a-2u", "a-3a", "a-3b", "a-3u", "a-4", "a-4e", "a-4f",
    "ua-1",
)  # fmt: skip
MIN_PPI, MAX_PPI, DEFAULT_PPI = 36, 600, 144
DEFAULT_TIMESTAMP = 946_684_800
"""2000-01-01T00:00:00Z. The engine has no clock: whoever wants today's date says so, and the same job gives the
same bytes for ever."""
MAX_TIMESTAMP = 253_402_300_799
"""The last second of the year 9999, which is what a PDF date can hold."""

MEDIA_TYPES: Final = {"pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml"}


def check_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options with their defaults, or raise TemplateError with a sentence that names the wrong one.

    - `timestamp` (every format): UNIX seconds; what `datetime.today()` gives and the PDF's dates say.
    - `pdf_standard` (PDF): one of PDF_STANDARDS or a list of them, e.g. `"a-2b"` or `["a-2a", "ua-1"]`.
    - `tagged` (PDF): `true`. Typst tags every PDF for accessibility; `false` is refused rather than ignored.
    - `ppi` (PNG): pixels per inch, 36 to 600.
    - `page` (PNG, SVG): which page to return, from 1.
    """
    if format_name not in MEDIA_TYPES:
        raise TemplateError(f'format "{format_name}" is not one of {", ".join(MEDIA_TYPES)}')
    checks = _CHECKS[format_name]
    checked: dict[str, Any] = {"timestamp": DEFAULT_TIMESTAMP}
    for name, value in options.items():
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise TemplateError(f'option "{name}" is not known for {format_name}; known options are {known}')
        checked[name] = checks[name](value)
    return checked


def check_timestamp(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIMESTAMP:
        raise TemplateError('option "timestamp" must be a whole number of seconds since 1970')
    return value


def check_pdf_standard(value: Any) -> list[str]:
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list | tuple) or not wanted:
        raise TemplateError('option "pdf_standard" must be a name or a list of names')
    for name in wanted:
        if name not in PDF_STANDARDS:
            raise TemplateError(f'option "pdf_standard" must be one of {", ".join(PDF_STANDARDS)}')
    return list(wanted)


def check_tagged(value: Any) -> bool:
    if value is not True:
        raise TemplateError('option "tagged" can only be true: every PDF is tagged for accessibility')
    return True


def _check_ppi(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TemplateError('option "ppi" must be a number')
    if not MIN_PPI <= value <= MAX_PPI:
        raise TemplateError(f'option "ppi" must be between {MIN_PPI} and {MAX_PPI}')
    return float(value)


def _check_page(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TemplateError('option "page" must be a whole number from 1')
    return value


_Check = Callable[[Any], Any]
_CHECKS: Final[dict[str, dict[str, _Check]]] = {
    "pdf": {"timestamp": check_timestamp, "pdf_standard": check_pdf_standard, "tagged": check_tagged},
    "png": {"timestamp": check_timestamp, "ppi": _check_ppi, "page": _check_page},
    "svg": {"timestamp": check_timestamp, "page": _check_page},
}

RULES: Final = EngineRules(
    media_types=MEDIA_TYPES,
    signatures={
        "pdf": re.compile(rb"%PDF-"),
        "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
        "svg": re.compile(rb"<svg"),
    },
    check_options=check_options,
)
