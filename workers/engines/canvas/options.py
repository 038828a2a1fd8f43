"""The formats and options of a Canvas render. Checked before a child is asked, so the answer is at once."""

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

MAX_SCALE: Final = 4
DEFAULT_QUALITY: Final = 90
_REFUSED: Final = {"a-4f": "a-4f is for documents with attached files, and a picture has none: take a-4"}
_OFFERED: Final = tuple(name for name in PDF_STANDARDS if name not in _REFUSED)

MEDIA_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
}
PIXEL_FORMATS: Final = frozenset({"png", "jpg", "webp"})


def check_options(format_name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options with their defaults, or raise TemplateError with a sentence that names the wrong one.

    - `scale` (every format): 1, 2, 3 or 4 pixels of the picture for one of the document. A PDF keeps its size, and
      its images and shadows become finer.
    - `strict_fonts` (every format): `true` fails the render when a font family is named that is not installed.
    - `quality` (JPEG, WebP): 1 to 100.
    - `pdf_standard`, `ua_compliant`, `tagged` (PDF): as for Typst, without `a-4f`.
    - `timestamp` (every format): UNIX seconds; what the PDF's dates say.
    """
    if format_name not in MEDIA_TYPES:
        raise TemplateError(f'format "{format_name}" is not one of {", ".join(MEDIA_TYPES)}')
    checks = _CHECKS[format_name]
    checked: dict[str, Any] = {"timestamp": DEFAULT_TIMESTAMP, "scale": 1}
    if "quality" in checks:
        checked["quality"] = DEFAULT_QUALITY
    for name, value in options.items():
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise TemplateError(f'option "{name}" is not known for {format_name}; known options are {known}')
        checked[name] = checks[name](value)
    return settle_standards(checked, _OFFERED, _REFUSED)


def _check_scale(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SCALE:
        raise TemplateError(f'option "scale" must be a whole number from 1 to {MAX_SCALE}')
    return value


def _check_quality(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:  # noqa: PLR2004 - of hundred
        raise TemplateError('option "quality" must be a whole number from 1 to 100')
    return value


_Check = Callable[[Any], Any]
_ALWAYS: Final[dict[str, _Check]] = {
    "scale": _check_scale,
    "timestamp": check_timestamp,
    "strict_fonts": check_flag("strict_fonts"),
}
_CHECKS: Final[dict[str, dict[str, _Check]]] = {
    "png": _ALWAYS,
    "jpg": {**_ALWAYS, "quality": _check_quality},
    "webp": {**_ALWAYS, "quality": _check_quality},
    "pdf": {
        **_ALWAYS,
        "pdf_standard": check_pdf_standard,
        "ua_compliant": check_flag("ua_compliant"),
        "tagged": check_tagged,
    },
    "svg": _ALWAYS,
}

RULES: Final = EngineRules(
    media_types=MEDIA_TYPES,
    signatures={
        "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
        "jpg": re.compile(rb"\xff\xd8\xff"),
        "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
        "pdf": re.compile(rb"%PDF-"),
        "svg": re.compile(rb"<svg"),
    },
    check_options=check_options,
)
