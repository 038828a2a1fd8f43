from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.services import find_team
from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError
from credits.management.terms import add_terms, terms_of
from credits.services import change_plan, find_plan


class Command(JsonCommand):
    help = "Put a team on a plan. What is given besides is the team's own and goes before the plan's."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("team", help="the team's id, or its name when only one has it")
        parser.add_argument("plan", help="the plan's slug")
        add_terms(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            team, plan = find_team(options["team"]), find_plan(options["plan"])
            account = change_plan(team=team, plan=plan, own=terms_of(options), actor="command line")
        except DomainError as error:
            raise CommandError(error.message) from error
        values = {"team": team.id, "plan": plan.slug, "credit_balance": account.credit_balance}
        self.answer(options, values, f"{team.name} is on {plan.slug} and has {account.credit_balance} credits.")
