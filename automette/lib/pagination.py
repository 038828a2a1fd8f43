"""Paging by key: page 1,000 costs what page 1 costs, and no row is skipped or repeated while new ones arrive."""

from typing import Final, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import F, Model, QuerySet

from automette.lib.errors import InvalidValueError

M = TypeVar("M", bound=Model)

NEWEST_FIRST: Final = F("id").desc(nulls_last=True)
"""The order of pages, and of the indexes for them. There are no NULLs: it is an order that the primary key's index
does not have, so that a prepared statement, planned without knowing team and filters, cannot read the whole table
backwards in search of them."""


def page_by_id(
    rows: QuerySet[M],
    *,
    known: QuerySet[M],
    limit: int,
    cursor: str | None,
) -> tuple[list[M], str | None]:
    """Return up to `limit` rows, newest (highest id) first, after the row named by `cursor`, and the next cursor.

    Ids begin with the time, or count up, so their order is the order of creation. Raises InvalidValueError for a
    cursor that is no row of `known`. Each filter of `rows` needs an index that ends in NEWEST_FIRST.
    """
    if cursor is not None:
        if not _may_be_id(known, cursor) or not known.filter(pk=cursor).exists():
            raise InvalidValueError("cursor: unknown. Take the value of next_cursor from the page before.")
        rows = rows.filter(pk__lt=cursor)
    page = list(rows.order_by(NEWEST_FIRST)[: limit + 1])
    more = len(page) > limit
    return page[:limit], (str(page[limit - 1].pk) if more else None)


def _may_be_id(rows: QuerySet[M], cursor: str) -> bool:
    """Tell whether an id of these rows may read so: where ids are numbers, `12`, but not `x`, `012` or `1_2`."""
    key = rows.model._meta.pk  # noqa: SLF001 (documented under this name)
    try:
        return str(key.to_python(cursor)) == cursor
    except ValidationError:
        return False
