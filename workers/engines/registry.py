"""The engines there are, by the name that templates call them.

The service reads the rules; only a zygote imports the engine itself.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workers.docx.options import RULES as DOCX_RULES
from workers.engines.canvas.options import RULES as CANVAS_RULES
from workers.engines.rules import EngineRules
from workers.engines.typst_options import RULES as TYPST_RULES


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """Where an engine is found, and its rules."""

    module: str
    class_name: str
    rules: EngineRules

    def load(self) -> Any:
        """Import the engine with everything that it needs; gives its class."""
        return getattr(importlib.import_module(self.module), self.class_name)


ENGINES: Final[Mapping[str, EngineEntry]] = {
    "typst": EngineEntry("workers.engines.typst", "TypstEngine", TYPST_RULES),
    "canvas": EngineEntry("workers.engines.canvas.engine", "CanvasEngine", CANVAS_RULES),
    "docx": EngineEntry("workers.docx.engine", "DocxEngine", DOCX_RULES),
}
