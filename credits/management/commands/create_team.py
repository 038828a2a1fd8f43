from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from accounts.services import create_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError
from credits.services import find_plan, open_account


class Command(JsonCommand):
    help = "Create a team with a default project and a month's credits."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument("--plan", help="the slug of the team's plan")
        parser.add_argument(
            "--credits", type=int, help="each month; goes before the plan's (without plan: DEFAULT_MONTHLY_CREDITS)"
        )
        parser.add_argument(
            "--overage",
            type=int,
            help="how far the balance may fall below zero; goes before the plan's (without plan: 0)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                team = create_team(name=options["name"], actor="command line")
                open_account(
                    team=team,
                    plan=find_plan(options["plan"]) if options["plan"] is not None else None,
                    monthly_credits=options["credits"],
                    overage_limit=options["overage"],
                    actor="command line",
                )
        except DomainError as error:
            raise CommandError(error.message) from error
        self.answer(options, {"id": team.id, "name": team.name}, f"Team {team.name} has the id {team.id}.")
