"""How management commands speak: sentences for people, one JSON object with `--json` for scripts."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class JsonCommand(BaseCommand):
    """A command with `--json`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def answer(self, options: dict[str, Any], values: dict[str, Any], sentence: str) -> None:
        """Print the values for a script, or the sentence for a person."""
        self.stdout.write(json.dumps(values) if options["json"] else sentence)
