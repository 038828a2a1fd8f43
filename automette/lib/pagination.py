"""Paging by key: page 1,000 costs what page 1 costs, and no row is skipped or repeated while new ones arrive."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from automette.lib.errors import InvalidValueError

M = TypeVar("M", bound=Model)


def page_by_id(
    rows: QuerySet[M], *, known: QuerySet[M], limit: int, cursor: str | None
) -> tuple[list[M], str | None]:
    """Return up to `limit` rows, newest (highest id) first, after the row named by `cursor`, and the next cursor.

    Ids begin with the time, so their order is the order of creation. Raises InvalidValueError for a cursor that is
    no row of `known`.
    """
    if cursor is not None:
        if not known.filter(pk=cursor).exists():
            raise InvalidValueError("cursor: unknown. Take the value of next_cursor from the page before.")
        rows = rows.filter(pk__lt=cursor)
    page = list(rows.order_by("-pk")[: limit + 1])
    more = len(page) > limit
    return page[:limit], (str(page[limit - 1].pk) if more else None)
