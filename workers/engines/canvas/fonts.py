"""Which of the installed font families a text is set in, and which were asked for in vain."""

from collections.abc import Iterable
from typing import Any, Final

_DEFAULTS: Final = ("Source Sans 3", "Noto Sans", "Libertinus Serif")
"""Tried after what the document asks for, before what Typst finds by itself."""
_BY_LANGUAGE: Final = {
    "ja": ("Noto Sans JP", "Noto Sans CJK JP"),
    "ko": ("Noto Sans KR", "Noto Sans CJK KR"),
    "zh": ("Noto Sans SC", "Noto Sans CJK SC"),
}
"""The same Han character looks different in each, so the document's language decides."""


class FontTable:
    """The installed families. One table serves one render: it remembers what was asked for."""

    def __init__(self, installed: Iterable[str]) -> None:
        self._installed = {family.casefold(): family for family in installed}
        self._asked: dict[str, None] = {}

    def resolve(self, wanted: Any, lang: str) -> list[str]:
        """The families for a text, the wanted ones first; at least one. `wanted` is a name or a list of names."""
        names = [wanted] if isinstance(wanted, str) else wanted
        self._asked.update(dict.fromkeys(names))
        candidates = [*names, *_DEFAULTS, *_BY_LANGUAGE.get(lang, ())]
        found = (self._installed.get(name.casefold()) for name in candidates)
        return list(dict.fromkeys(name for name in found if name)) or ["Libertinus Serif"]

    @property
    def asked(self) -> list[str]:
        """Families that visible texts name, in order."""
        return list(self._asked)

    @property
    def used(self) -> list[str]:
        """Those of them that are installed, under the names that they give themselves."""
        found = (self._installed.get(name.casefold()) for name in self._asked)
        return [name for name in found if name]

    @property
    def missing(self) -> list[str]:
        return [name for name in self._asked if name.casefold() not in self._installed]
