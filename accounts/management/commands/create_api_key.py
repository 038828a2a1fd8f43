from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.services import create_api_key, find_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError


class Command(JsonCommand):
    help = "Create an API key for a team. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("team", help="the team's id, or its name when only one has it")
        parser.add_argument("--name", default="", help="what the key is for")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team = find_team(options["team"])
        except DomainError as error:
            raise CommandError(error.message) from error
        row, key = create_api_key(team=team, name=options["name"], actor="command line")
        self.answer(options, {"id": row.id, "team": team.id, "key": key}, f"The key, shown only now: {key}")
