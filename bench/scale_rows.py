"""Renders by the million, written by SQL with what belongs to them: jobs, files and movements of credits.

Nine teams share them; one has 99 of 100. What is rare is oldest, which is the worst place for it: a statement that
reads backwards from the newest row in search of it has all the others to pass.

Run as a program on an empty, migrated database it makes the teams and the first renders, and prints who and what
they are as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = 1000
"""How many renders the program makes. All that is rare is among them."""

_MIDDLING_TEAMS = 7
_CREDITS = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Cast:
    """The teams and templates of the renders; a key for the two teams that ask."""

    big_team: str
    big_key: str
    small_team: str
    small_key: str
    middling_teams: list[str]
    common_templates: list[str]
    rare_template: str
    small_template: str
    middling_template: str


_DESCRIBE = """
CREATE TEMPORARY TABLE made AS
SELECT n, 'cm' || lpad(to_hex(n), 7, '0') || left(md5('render' || n), 16) AS id,
    'cm' || lpad(to_hex(n), 7, '0') || left(md5('job' || n), 16) AS job_id,
    CASE owner WHEN 'small' THEN %(small_team)s WHEN 'big' THEN %(big_team)s
        ELSE (%(middling_teams)s::text[])[1 + n / 100 %% %(middling)s] END AS team_id,
    CASE owner WHEN 'small' THEN %(small_template)s WHEN 'middling' THEN %(middling_template)s
        ELSE CASE WHEN n BETWEEN 41 AND 65 THEN %(rare_template)s
            ELSE (%(common_templates)s::text[])[1 + n %% 3] END END AS template_id,
    CASE WHEN n BETWEEN 66 AND 85 THEN 'running' WHEN n %% 20 = 3 THEN 'failed'
        WHEN owner = 'middling' AND n > 900000 THEN 'pending' ELSE 'completed' END AS status,
    timestamptz '2025-11-01' + n * interval '26 seconds' AS created_at
FROM generate_series(%(first)s::int, %(last)s::int) AS n, LATERAL (
    SELECT CASE WHEN n <= 40 THEN 'small' WHEN n > 1000 AND n %% 100 = 7 THEN 'middling' ELSE 'big' END AS owner
) AS owners
"""
_JOBS = (
    "INSERT INTO renders_job (id, team_id, source, created_at) SELECT job_id, team_id, 'api', created_at FROM made"
)
_RENDERS = """
INSERT INTO renders_render (
    id, team_id, job_id, template_id, template_version_id, template_name, engine, format, formats, visibility, data,
    options, filename, queue, status, attempt, rings, error, error_code, pages, report, superseded_files_deleted,
    created_at, started_at, finished_at, lease_expires_at, ring_at)
SELECT made.id, made.team_id, job_id, template_id, current_version_id, name, engine, 'pdf', '{pdf}',
    CASE WHEN n % 3 = 0 THEN 'secure' ELSE 'public' END,
    format('{"number": "2026-%s", "customer": ["Customer %s Ltd", "%s Orchard Row", "Cork"], "items": [{"name": '
        '"Cover design", "quantity": 2, "cents": %s}, {"name": "Delivery", "quantity": 1, "cents": 999}]}',
        n, n, n % 97, n % 9973),
    '{}', format('invoice-%s.pdf', n), 'async', status, (status <> 'pending')::int, 0,
    CASE status WHEN 'failed' THEN 'line 3: unknown variable: total' END,
    CASE status WHEN 'failed' THEN 'template' ELSE '' END, CASE status WHEN 'completed' THEN 1 END,
    CASE status WHEN 'completed' THEN '{"warnings": [], "fonts": ["Lato"]}'::jsonb ELSE '{}' END, false,
    made.created_at, CASE WHEN status <> 'pending' THEN made.created_at + interval '1 second' END,
    CASE WHEN status IN ('completed', 'failed') THEN made.created_at + interval '2 seconds' END,
    CASE status WHEN 'running' THEN now() + interval '1 day' END,
    CASE status WHEN 'running' THEN now() + interval '1 day' END
FROM made
JOIN templates_app_template AS template ON template.id = made.template_id
"""
_FILES = """
INSERT INTO renders_renderfile (render_id, format, key, media_type, size_bytes, sha256, created_at)
SELECT id, 'pdf', format('renders/%s.pdf', id), 'application/pdf', 20000 + n % 5000, md5(id) || md5(job_id),
    created_at + interval '2 seconds'
FROM made WHERE status = 'completed'
"""
_MOVEMENTS = """
WITH moved AS (
    SELECT n, team_id, id, created_at, 'charge' AS kind, -1 AS amount, 'key (dg_...)' AS actor FROM made
    UNION ALL
    SELECT n, team_id, id, created_at, 'refund', 1, 'render failed' FROM made WHERE status = 'failed'
), added AS (
    INSERT INTO credits_ledgerentry (team_id, kind, amount, balance_after, render_id, actor, created_at)
    SELECT team_id, kind, amount,
        credit_balance + sum(amount) OVER (PARTITION BY team_id ORDER BY n, kind), moved.id, actor, created_at
    FROM moved JOIN credits_creditaccount USING (team_id)
    ORDER BY n, kind
    RETURNING team_id, amount
)
UPDATE credits_creditaccount AS account SET credit_balance = account.credit_balance + total.amount
FROM (SELECT team_id, sum(amount) AS amount FROM added GROUP BY team_id) AS total
WHERE account.team_id = total.team_id
"""


def add_renders(url: str, cast: Cast, first: int, last: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Add the renders with these numbers, and let the database count what it has.

    Foreign keys are not checked: what they would find is made here.
    """
    values = {**dataclasses.asdict(cast), "middling": _MIDDLING_TEAMS, "first": first, "last": last}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute(_DESCRIBE, values, prepare=False)
        connection.execute("ANALYZE made")
        for what, statement in (
            ("jobs", _JOBS),
            ("renders", _RENDERS),
            ("files", _FILES),
            ("movements of credits", _MOVEMENTS),
        ):
            say(f"adding {what}")
            connection.execute(statement.encode())
        say("VACUUM ANALYZE")
        connection.execute("DROP TABLE made")
        connection.execute("VACUUM (ANALYZE) renders_job, renders_render, renders_renderfile, credits_ledgerentry")
        connection.execute("CHECKPOINT")


def _make_cast() -> Cast:
    import django  # noqa: PLC0415 - the settings are read here, from the environment of this program alone

    django.setup()
    from accounts.services import create_api_key, create_team  # noqa: PLC0415
    from bench.invoice import SOURCE  # noqa: PLC0415
    from credits.services import open_account  # noqa: PLC0415
    from templates_app.services import create_template  # noqa: PLC0415

    def make_team(name: str) -> Any:
        team = create_team(name=name, actor="bench")
        open_account(team=team, monthly_credits=_CREDITS, actor="bench")
        return team

    def make_template(team: Any, name: str) -> str:
        return create_template(team=team, actor="bench", name=name, engine="typst", source=SOURCE).id

    big, small, *middling = (
        make_team(name) for name in ("Big", "Small", *(f"Middling {n}" for n in range(_MIDDLING_TEAMS)))
    )
    return Cast(
        big_team=big.id,
        big_key=create_api_key(team=big, actor="bench")[1],
        small_team=small.id,
        small_key=create_api_key(team=small, actor="bench")[1],
        middling_teams=[team.id for team in middling],
        common_templates=[make_template(big, name) for name in ("Invoice", "Reminder", "Delivery note")],
        rare_template=make_template(big, "Certificate"),
        small_template=make_template(small, "Letter"),
        middling_template=make_template(middling[0], "Flyer"),
    )


if __name__ == "__main__":
    made = _make_cast()
    add_renders(sys.argv[1], made, 1, FEW)
    print(json.dumps(dataclasses.asdict(made)))
