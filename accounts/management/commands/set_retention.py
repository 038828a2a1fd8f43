from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.services import change_retention, find_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError


class Command(JsonCommand):
    help = "Say after how long the files of a team's new renders are deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("team", help="the team's id, or its name when only one has it")
        parser.add_argument("seconds", help="from 60 to 315360000, or 'never'")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["seconds"]
        if wanted != "never" and not (wanted.isascii() and wanted.isdigit()):
            raise CommandError("Say a number of seconds, or 'never'.")
        seconds = None if wanted == "never" else int(wanted)
        try:
            team = find_team(options["team"])
            change_retention(team=team, seconds=seconds, actor="command line")
        except DomainError as error:
            raise CommandError(error.message) from error
        values = {"team": team.id, "files_expire_after_seconds": seconds}
        when = "never" if seconds is None else f"{seconds:,} seconds after they were made"
        self.answer(options, values, f"Files of new renders of {team.name} expire {when}.")
