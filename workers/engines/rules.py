"""What differs from engine to engine for those who talk to a child: its formats, its options, its documents."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class EngineRules:
    """`media_types` holds the formats, the default one first; `signatures` how a document in each of them begins.

    `check_options` gives the options of a format with their defaults, or raises TemplateError. `parts` names the
    formats that make up a format of several files. `findings` are the parts of an answer that an inspection gives
    instead of a document for its own sake. `aborts_without_memory`: whether SIGABRT means that memory ran out.
    """

    media_types: Mapping[str, str]
    signatures: Mapping[str, re.Pattern[bytes]]
    check_options: Callable[[str, Mapping[str, Any]], dict[str, Any]]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    aborts_without_memory: bool = True
