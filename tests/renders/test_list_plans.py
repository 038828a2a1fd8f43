"""A page of renders or jobs costs a page, whoever asks for what, planned once and for all teams."""

import pytest
from django.db import connection, transaction

from automette.lib.pagination import NEWEST_FIRST
from renders.models import Job, Render
from tests.credits.test_ledger_api import blocks_read

MANY, FEW = 20_000, 40
A_PAGE = 60
"""Blocks of eight kilobytes; the table has some thousand."""

_GROW = """
INSERT INTO {table}
SELECT (jsonb_populate_record(row, %s::jsonb || jsonb_build_object('id', left(id, 19) || lpad(n::text, 6, '0')))).*
FROM {table} AS row, generate_series(1, %s) AS n WHERE id = %s
"""


def grow(row: Render | Job, count: int, changed: str = "{}") -> None:
    """Make copies of a row that differ by their ids and in what is given as JSON."""
    with connection.cursor() as cursor:
        table = row._meta.db_table
        cursor.execute(_GROW.format(table=table), [changed, count, row.pk])
        cursor.execute(f"ANALYZE {table}")


FINISHED = '{"status": "completed", "finished_at": "2026-01-01T00:00:00Z", "ring_at": null}'


@pytest.fixture
def crowd(api, other_api, accept):
    """The team has many renders, few of them pending or of the template that is returned; the other has few."""
    common, rare, theirs = api.template(), api.template(), other_api.template()
    accept(api, rare)
    grow(accept(other_api, theirs), FEW, FINISHED)
    first = accept(api, common)
    grow(first, MANY, FINISHED)
    for team in (api.team, other_api.team):
        grow(team.jobs.last(), MANY if team == api.team else FEW)
    return {"common": common, "rare": rare, "theirs": theirs, "cursor": "z"}


def test_every_page_of_renders_reads_a_page_of_the_table(api, other_api, crowd):
    asked = [
        (api, {}),
        (api, {"status": "completed"}),
        (api, {"status": "pending"}),
        (api, {"status": "failed"}),
        (api, {"template_id": crowd["common"]}),
        (api, {"template_id": crowd["rare"]}),
        (api, {"template_id": crowd["common"], "status": "pending"}),
        (other_api, {}),
        (other_api, {"status": "completed"}),
        (other_api, {"template_id": crowd["theirs"]}),
    ]
    for one, wanted in asked:
        rows = one.team.renders.kept().filter(**wanted).order_by(NEWEST_FIRST)
        for start in ({}, {"pk__lt": crowd["cursor"]}):
            assert blocks_read(rows.filter(**start)[:21]) < A_PAGE, (wanted, start)


def test_every_page_of_jobs_reads_a_page_of_the_table(api, other_api, crowd):
    for one in (api, other_api):
        for wanted in ({}, {"source": "api"}, {"source": "csv"}):
            rows = one.team.jobs.filter(**wanted).order_by(NEWEST_FIRST)
            assert blocks_read(rows[:21]) < A_PAGE, wanted


def test_the_primary_keys_order_would_read_the_table(other_api, crowd):
    """The control: in the order of the primary key the few are looked for among all, where the planner thinks that
    this spares it the sorting. What it thinks depends on the other rows of the table, so here it may not sort."""
    rows = other_api.team.renders.kept().filter(status="failed")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_incremental_sort = off")
        assert blocks_read(rows.order_by(NEWEST_FIRST)[:21]) < A_PAGE
        assert blocks_read(rows.order_by("-pk")[:21]) > 10 * A_PAGE
