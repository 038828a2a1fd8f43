"""The options of commands that take the terms of a plan or of a team."""

from typing import Any

from django.core.management.base import CommandParser

from credits.services import Terms


def add_terms(parser: CommandParser) -> None:
    parser.add_argument("--credits", type=int, dest="monthly_credits", help="each month")
    parser.add_argument("--overage", type=int, dest="overage_limit", help="how far the balance may fall below zero")
    parser.add_argument("--requests-per-minute", type=int)
    parser.add_argument("--running-renders", type=int, help="how many renders may run at the same time")
    parser.add_argument("--sync-waiters", type=int, help="how many sync renders may wait at the same time")


def terms_of(options: dict[str, Any]) -> Terms:
    return Terms(**{name: options[name] for name in Terms._fields})
