"""Images that a document names by address. The service fetches them; a child only learns where they lie.

A document that meets an address for the first time goes on without it, to find all the others, and is then answered
with RemoteFilesNeededError: the service fetches them and renders it anew.
"""

from collections.abc import Mapping
from typing import Any, Final

from workers.errors import RemoteFilesNeededError, TemplateError

SCHEMES: Final = ("http://", "https://")
MAX_REMOTE_FILES: Final = 20
MAX_URL_CHARACTERS: Final = 2000


class RemoteFiles:
    """What the service told of addresses: `{"file": name}` below `root`, or `{"problem": sentence}`."""

    def __init__(self, told: Mapping[str, Mapping[str, Any]], root: str) -> None:
        self._told = told
        self._root = root
        self._needed: dict[str, None] = {}

    def read(self, url: str) -> bytes | None:
        """The content behind an address; None when it is still to be fetched. Raises TemplateError."""
        told = self._told.get(url)
        if told is None:
            self._need(url)
            return None
        if "problem" in told:
            raise TemplateError(told["problem"])
        with open(f"{self._root}/{told['file']}", "rb") as file:  # noqa: PTH123 - a child is to import little
            return file.read()

    def check(self) -> None:
        """Raise RemoteFilesNeededError if something is still to be fetched."""
        if self._needed:
            raise RemoteFilesNeededError(tuple(self._needed))

    def _need(self, url: str) -> None:
        if len(url) > MAX_URL_CHARACTERS:
            raise TemplateError(f"is an address of more than {MAX_URL_CHARACTERS:,} characters")
        self._needed[url] = None
        if len(self._needed) + len(self._told) > MAX_REMOTE_FILES:
            raise TemplateError(f"is one address too many: a document may show {MAX_REMOTE_FILES} images by address")
