from typing import Any

from django.core.management.base import CommandError, CommandParser

from automette.lib.commands import JsonCommand
from automette.lib.errors import DomainError
from credits.management.terms import add_terms, terms_of
from credits.services import Terms, save_plan


class Command(JsonCommand):
    help = "Create a plan, or change what is given of one. Credits change for its teams at their next reset."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug", help="letters, digits and hyphens: how commands name the plan")
        parser.add_argument("--name", help="how people name it; the slug if not given for a new plan")
        add_terms(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        terms = terms_of(options)
        try:
            plan = save_plan(slug=options["slug"], name=options["name"], terms=terms, actor="command line")
        except DomainError as error:
            raise CommandError(error.message) from error
        values = {name: getattr(plan, name) for name in ("slug", "name", *Terms._fields)}
        sentence = f"Plan {plan.slug} has {plan.monthly_credits} credits a month and {plan.overage_limit} of overage."
        self.answer(options, values, sentence)
