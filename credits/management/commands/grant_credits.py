from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.services import find_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError
from credits.services import grant_credits


class Command(JsonCommand):
    help = "Add credits to a team's balance (a negative number takes some back)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("team", help="the team's id, or its name when only one has it")
        parser.add_argument("credits", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team = find_team(options["team"])
            account = grant_credits(team=team, amount=options["credits"], actor="command line")
        except DomainError as error:
            raise CommandError(error.message) from error
        values = {"team": team.id, "credit_balance": account.credit_balance}
        self.answer(options, values, f"{team.name} now has {account.credit_balance} credits.")
