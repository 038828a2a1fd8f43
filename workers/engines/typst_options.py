"""The options of a Typst render and what they may be. Checked before a child is asked, so the answer is at once."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from workers.engines.option_checks import (
    DEFAULT_TIMESTAMP,
    PDF_STANDARDS,
    check_flag,
    check_pdf_standard,
    check_tagged,
    check_timestamp,
    settle_standards,
)
from workers.engines.rules import EngineRules
from workers.errors import TemplateError

MIN_PPI, MAX_PPI, DEFAULT_PPI = 36, 600, 144

MEDIA_TYPES: Final = {"pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml"}

INSPECT_FONT: Final = "font"
"""Not a format: the job's files are a font to be looked at, and the picture is a sample of it."""


def check_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options with their defaults, or raise TemplateError with a sentence that names the wrong one.

    - `timestamp` (every format): UNIX seconds; what `datetime.today()` gives and the PDF's dates say.
    - `strict_fonts` (every format): `true` fails the render when a font family is named that is not installed.
    - `pdf_standard` (PDF): one of PDF_STANDARDS or a list of them, e.g. `"a-2b"` or `["a-2a", "ua-1"]`.
    - `ua_compliant` (PDF): `true` is short for `ua-1` among the standards.
    - `tagged` (PDF): `true`. Typst tags every PDF for accessibility; `false` is refused rather than ignored.
    - `ppi` (PNG): pixels per inch, 36 to 600.
    - `page` (PNG, SVG): which page to return, from 1.
    """
    if format_name not in _CHECKS:
        raise TemplateError(f'format "{format_name}" is not one of {", ".join(MEDIA_TYPES)}')
    checks = _CHECKS[format_name]
    checked: dict[str, Any] = {"timestamp": DEFAULT_TIMESTAMP}
    for name, value in options.items():
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise TemplateError(f'option "{name}" is not known for {format_name}; known options are {known}')
        checked[name] = checks[name](value)
    return settle_standards(checked, PDF_STANDARDS)


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
_ALWAYS: Final[dict[str, _Check]] = {"timestamp": check_timestamp, "strict_fonts": check_flag("strict_fonts")}
_CHECKS: Final[dict[str, dict[str, _Check]]] = {
    "pdf": {
        **_ALWAYS,
        "pdf_standard": check_pdf_standard,
        "ua_compliant": check_flag("ua_compliant"),
        "tagged": check_tagged,
    },
    "png": {**_ALWAYS, "ppi": _check_ppi, "page": _check_page},
    "svg": {**_ALWAYS, "page": _check_page},
    INSPECT_FONT: {},
}

RULES: Final = EngineRules(
    media_types={**MEDIA_TYPES, INSPECT_FONT: "image/png"},
    signatures={
        "pdf": re.compile(rb"%PDF-"),
        "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
        "svg": re.compile(rb"<svg"),
        INSPECT_FONT: re.compile(rb"\x89PNG\r\n\x1a\n"),
    },
    check_options=check_options,
    findings=("families", "faces"),
)
