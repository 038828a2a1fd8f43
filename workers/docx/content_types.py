"""Which kind of content each part of a package is said to be ([Content_Types].xml)."""

from typing import Any, Final

from workers.docx.xml import DEFAULT_TYPE, OVERRIDE_TYPE, parse_part

_WORD: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml."
MAIN: Final = _WORD + "document.main+xml"
TEMPLATE_MAIN: Final = _WORD + "template.main+xml"
SECOND_STYLES: Final = "application/vnd.ms-word.stylesWithEffects+xml"
CHARTS: Final = frozenset(
    {
        "application/vnd.openxmlformats-officedocument.drawingml.chart+xml",
        "application/vnd.ms-office.chartex+xml",
    }
)
WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class ContentTypes:
    """Types by part name; an entry for one part beats the default of its extension. Case does not matter."""

    def __init__(self, content: bytes) -> None:
        self.root: Any = parse_part(content, "[Content_Types].xml")
        self._defaults: dict[str, str] = {
            element.get("Extension", "").casefold(): element.get("ContentType", "")
            for element in self.root.iter(DEFAULT_TYPE)
        }
        self._overrides = {
            element.get("PartName", "").lstrip("/").casefold(): element for element in self.root.iter(OVERRIDE_TYPE)
        }

    def of(self, part: str) -> str:
        """The type of a part, "" when nobody says."""
        override = self._overrides.get(part.casefold())
        if override is not None:
            return str(override.get("ContentType", ""))
        return self._defaults.get(part.rpartition(".")[2].casefold(), "")

    def set(self, part: str, content_type: str) -> None:
        """Change the type of a part that has an entry of its own."""
        self._overrides[part.casefold()].set("ContentType", content_type)

    def has_own_entry(self, part: str) -> bool:
        return part.casefold() in self._overrides
