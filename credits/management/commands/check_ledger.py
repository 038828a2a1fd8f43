import dataclasses
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.services import find_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError
from credits.ledger_check import find_mismatches


class Command(JsonCommand):
    help = "Verify that each balance is the sum of its ledger; names the teams and exits with 1 where it is not."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("team", nargs="?", help="only this one, by its id or name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team_id = find_team(options["team"]).id if options["team"] is not None else None
        except DomainError as error:
            raise CommandError(error.message) from error
        found = find_mismatches(team_id=team_id)
        listed = [dataclasses.asdict(mismatch) for mismatch in found]
        told = "\n".join(str(mismatch) for mismatch in found)
        self.answer(options, {"mismatches": listed}, told or "Every balance is the sum of its ledger.")
        if found:
            raise CommandError(f"The ledger and the balance of {len(found)} team(s) do not agree.")
