import json

import pytest
from django.db import connection

from automette.lib.pagination import NEWEST_FIRST
from credits.models import LedgerEntry
from credits.services import grant_credits
from renders import statements


@pytest.fixture
def listed(api):
    """Ask for a page and return the ids on it, and the next cursor."""

    def ask(**query):
        answer = api.get("/api/v1/credits/ledger", **query)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert list(body) == ["entries", "next_cursor"]
        return [entry["id"] for entry in body["entries"]], body["next_cursor"]

    return ask


def grow(api, count: int) -> list[str]:
    """Return the ids of all the team's entries after so many more, newest first."""
    for _ in range(count):
        grant_credits(team=api.team, amount=1, actor="test")
    return [str(number) for number in api.team.ledger_entries.order_by("-id").values_list("id", flat=True)]


def test_entries_have_the_documented_keys_newest_first(api, accept):
    render = accept(api, api.template())
    statements.claim(render.id, lease_seconds=60)
    statements.fail(render.id, attempt=1, error="No.", code="template_error")
    refund, charge, grant = api.get("/api/v1/credits/ledger").json()["entries"]
    shared = {"render_id": render.id}
    assert refund == {
        "id": refund["id"],
        "kind": "refund",
        "amount": 1,
        "balance_after": 100,
        **shared,
        "actor": "render failed",
        "created_at": refund["created_at"],
    }
    assert charge == {**refund, **pick(charge), "kind": "charge", "amount": -1, "balance_after": 99, "actor": "test"}
    assert grant == {**charge, **pick(grant), "kind": "grant", "amount": 100, "balance_after": 100, "render_id": None}
    assert [len(entry["created_at"]) for entry in (refund, charge, grant)] == [24] * 3
    assert int(refund["id"]) > int(charge["id"]) > int(grant["id"])


def pick(entry) -> dict:
    return {"id": entry["id"], "created_at": entry["created_at"]}


def test_charge_names_the_key_that_asked(api):
    api.post("/api/v1/renders", {"template_id": api.template()})
    (charge,) = api.get("/api/v1/credits/ledger", kind="charge").json()["entries"]
    assert charge["actor"] == str(api.team.api_keys.get())
    assert api.key not in charge["actor"]


def test_default_page_has_twenty(api, listed):
    ids = grow(api, 20)
    assert listed() == (ids[:20], ids[19])
    assert listed(cursor=ids[19]) == (ids[20:], None)
    assert listed(cursor=ids[20]) == ([], None)
    assert listed(limit=100) == (ids, None)


def test_no_entry_is_skipped_or_repeated_while_new_ones_arrive(api, listed):
    ids = grow(api, 10)
    seen, cursor = listed(limit=3)
    while cursor:
        grow(api, 2)
        page, cursor = listed(limit=3, cursor=cursor)
        seen += page
    assert seen == ids


@pytest.mark.parametrize("kind", ["grant", "charge", "refund", "reset", "adjust"])
def test_filter_by_kind(api, listed, accept, kind):
    accept(api, api.template())
    grant_credits(team=api.team, amount=-1, actor="test")
    ids = [str(entry.id) for entry in LedgerEntry.objects.filter(team=api.team, kind=kind)]
    assert listed(kind=kind) == (ids, None)
    assert len(ids) == (kind in {"grant", "charge", "adjust"})


def test_cursor_is_good_under_another_filter(api, listed):
    ids = grow(api, 3)
    assert listed(kind="charge", cursor=ids[1]) == ([], None)
    assert listed(kind="grant", cursor=ids[0], limit=1) == (ids[1:2], ids[1])


def test_other_teams_entries_are_neither_listed_nor_a_cursor(api, other_api, listed):
    (theirs,) = grow(other_api, 0)
    ids = grow(api, 1)
    assert listed() == (ids, None)
    answers = [api.get("/api/v1/credits/ledger", cursor=cursor) for cursor in (theirs, str(int(ids[0]) + 10**9))]
    assert {(answer.status_code, answer.content) for answer in answers} == {(422, answers[0].content)}


@pytest.mark.parametrize(
    "cursor", ["", "x", "0", "-1", "c" * 25, "1.0", "null", "\x00", "\U0001f600", "9" * 100, "9" * 101, "' OR 1=1 --"]
)
def test_unknown_cursor_is_422(api, cursor):
    answer = api.get("/api/v1/credits/ledger", cursor=cursor)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "cursor")


def test_cursor_is_taken_as_it_was_given_only(api):
    (known,) = grow(api, 0)
    spelled = [f"0{known}", f"+{known}", f" {known}", f"{known}.0", f"{known[0]}_{known[1:] or 0}"]
    spelled.append("".join(chr(0xFF10 + int(digit)) for digit in known))  # full-width digits
    got = [
        api.get("/api/v1/credits/ledger", cursor=cursor).status_code for cursor in spelled if cursor.strip() != known
    ]
    assert got == [422] * len(got)
    assert len(got) >= 5


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "ten", "", "9" * 5000, "NaN"])
def test_limit_out_of_range_is_422(api, limit):
    answer = api.get("/api/v1/credits/ledger", limit=limit)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "limit")


@pytest.mark.parametrize("kind", ["", "gift", "CHARGE", "charge,refund"])
def test_unknown_kind_is_422(api, kind):
    answer = api.get("/api/v1/credits/ledger", kind=kind)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "kind: Must be one of: grant, charge, refund, reset, adjust."},
    )


_GROW = """
INSERT INTO credits_ledgerentry (team_id, kind, amount, balance_after, render_id, actor)
SELECT %s, kind, 0, 100, CASE WHEN kind = 'charge' THEN lpad(n::text, 9, '0') || %s END, 'test'
FROM (
    SELECT n, CASE WHEN n %% 5000 = 0 THEN 'adjust' ELSE 'charge' END AS kind FROM generate_series(1, %s) AS n
) AS movement
"""


@pytest.mark.parametrize(("mine", "others"), [(20_000, 500), (500, 20_000)], ids=["large team", "small team"])
def test_every_page_reads_a_page_of_the_table(api, other_api, mine, others):
    """Counted in blocks of eight kilobytes; a page of 20 lies in a handful. Planned without knowing the values."""
    with connection.cursor() as cursor:
        for which, count in ((api, mine), (other_api, others)):
            cursor.execute(_GROW, [which.team.id, which.team.id[-16:], count])
        cursor.execute("ANALYZE credits_ledgerentry")
    known = api.team.ledger_entries.order_by(NEWEST_FIRST)
    for kind in ({}, {"kind": "charge"}, {"kind": "adjust"}, {"kind": "reset"}):
        for start in ({}, {"pk__lt": known[mine // 2].pk}):
            assert blocks_read(known.filter(**start, **kind)[:21]) < 40, (start, kind)


def blocks_read(rows) -> int:
    """Return what a page costs when its statement has been prepared, once and for all teams."""
    statement, values = rows.query.sql_with_params()
    for number in range(1, len(values) + 1):
        statement = statement.replace("%s", f"${number}", 1)
    words = ", ".join(f"'{value}'" for value in values)
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        try:
            cursor.execute(f"PREPARE page AS {statement}")
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT json) EXECUTE page ({words})")
            found = cursor.fetchone()[0]
        finally:
            cursor.execute("DEALLOCATE page")
            cursor.execute("RESET plan_cache_mode")
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@pytest.mark.parametrize("page", [1, 5])
def test_every_page_takes_the_same_number_of_statements(api, listed, django_assert_num_queries, page):
    """The key, the cursor, the page: three, wherever the page lies and however long it is."""
    ids = grow(api, 12)
    listed()  # what a process remembers of a team is there now
    with django_assert_num_queries(3):
        listed(limit=2, cursor=ids[page])
