"""What differs from engine to engine for those who talk to a child: its formats, its options, its documents."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineRules:
    """`media_types` holds the formats, the default one first; `signatures` how a document in each of them begins.

    `check_options` gives the options of a format with their defaults, or raises TemplateError.
    """

    media_types: Mapping[str, str]
    signatures: Mapping[str, re.Pattern[bytes]]
    check_options: Callable[[str, Mapping[str, Any]], dict[str, Any]]
