"""The options that more than one engine takes: PDF standards, tags, dates, fonts."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from workers.errors import TemplateError

_VERSIONS: Final = ("1.4", "1.5", "1.6", "1.7", "2.0")
_EARLIER_THAN_2: Final = frozenset(_VERSIONS[:-1])
_ALLOWED_VERSIONS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("a-1a", "a-1b"), frozenset({"1.4"})),
    **dict.fromkeys(("a-2a", "a-2b", "a-2u", "a-3a", "a-3b", "a-3u"), _EARLIER_THAN_2),
    **dict.fromkeys(("a-4", "a-4e", "a-4f"), frozenset({"2.0"})),
    "ua-1": _EARLIER_THAN_2,
}
"""The versions of PDF that a standard is built on: ISO 19005-1 to -4 and ISO 14289-1."""
PDF_STANDARDS: Final = (*_VERSIONS, *_ALLOWED_VERSIONS)
"""Every name of a standard that the service knows; an engine may offer fewer."""
ACCESSIBLE: Final = "ua-1"

DEFAULT_TIMESTAMP: Final = 946_684_800
"""2000-01-01T00:00:00Z. The engines have no clock: whoever wants today's date says so, and the same job gives the
same bytes for ever."""
MAX_TIMESTAMP: Final = 253_402_300_799
"""The last second of the year 9999, which is what a PDF date can hold."""


def check_timestamp(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIMESTAMP:
        raise TemplateError('option "timestamp" must be a whole number of seconds since 1970')
    return value


def check_tagged(value: Any) -> bool:
    if value is not True:
        raise TemplateError('option "tagged" can only be true: every PDF is tagged for accessibility')
    return True


def check_pdf_standard(value: Any) -> list[str]:
    """The names, each once. Whether an engine offers them is for `settle_standards`."""
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, list | tuple) or not wanted:
        raise TemplateError('option "pdf_standard" must be a name or a list of names')
    if not all(isinstance(name, str) for name in wanted):
        raise TemplateError('option "pdf_standard" must be a name or a list of names')
    return list(dict.fromkeys(wanted))


def check_flag(name: str) -> Callable[[Any], bool]:
    """A check for an option that is true or false."""

    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise TemplateError(f'option "{name}" must be true or false')
        return value

    return check


def settle_standards(
    checked: dict[str, Any], offered: Collection[str], refused: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Put what `pdf_standard` and `ua_compliant` ask for together under `pdf_standard`, when they ask for anything.

    `refused` says of names which an engine does not offer why it does not. Raises TemplateError for a name that is
    not offered and for names that exclude each other.
    """
    names = list(checked.pop("pdf_standard", []))
    for name in names:
        if name not in offered:
            why = (refused or {}).get(name, "")
            raise TemplateError(f'option "pdf_standard" must be one of {", ".join(offered)}{why and f"; {why}"}')
    if checked.pop("ua_compliant", False) and ACCESSIBLE not in names:
        names.append(ACCESSIBLE)
    _check_together(names)
    return {**checked, "pdf_standard": names} if names else checked


def _check_together(names: list[str]) -> None:
    archival = [name for name in names if name.startswith("a-")]
    versions = [name for name in names if name in _VERSIONS]
    if len(archival) > 1:
        raise TemplateError(f"a PDF can follow one PDF/A standard, not {' and '.join(archival)}")
    if len(versions) > 1:
        raise TemplateError(f"a PDF has one version, not {' and '.join(versions)}")
    possible = frozenset(versions or _VERSIONS)
    for name in names:
        possible &= _ALLOWED_VERSIONS.get(name, possible)
    if not possible and ACCESSIBLE in names:
        others = " and ".join(name for name in names if name != ACCESSIBLE)
        raise TemplateError(f"a PDF cannot be ua-1 and {others}: PDF/UA-1 is for PDF 1.4 to 1.7")
    if not possible:
        needed = sorted(_ALLOWED_VERSIONS[archival[0]])
        between = needed[0] if len(needed) == 1 else f"{needed[0]} to {needed[-1]}"
        raise TemplateError(f"a PDF cannot be {archival[0]} and {versions[0]}: {archival[0]} is for PDF {between}")
