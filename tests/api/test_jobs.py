"""`/jobs` and `/jobs/{id}`: one trigger, and what became of its renders."""

import datetime as dt
import itertools

import pytest
from django.db import connection
from django.db.models.functions import Now

from automette.lib.ids import new_id
from renders import statements
from renders.models import Job, Render
from renders.statements import StoredFile


@pytest.fixture
def bulk(api, accept):
    """Make a job of several renders, as a file of rows will; gives its id and theirs, newest first."""

    def make(count: int, source: str = "csv") -> tuple[str, list[str]]:
        template_id = api.template()
        renders = [accept(api, template_id) for _ in range(count)]
        job = Job.objects.create(team=api.team, source=source)
        Render.objects.filter(pk__in=[render.id for render in renders]).update(job=job)
        Job.objects.filter(pk__in=[render.job_id for render in renders]).delete()
        return job.id, sorted((render.id for render in renders), reverse=True)

    return make


def complete(render_id: str) -> None:
    taken = statements.claim(render_id, lease_seconds=3600)
    file = StoredFile("pdf", f"renders/{render_id}.pdf", "application/pdf", 3, "0" * 64)
    assert statements.complete(taken, files=[file], pages=1, report={})


def fail(render_id: str) -> None:
    statements.claim(render_id, lease_seconds=3600)
    assert statements.fail(render_id, attempt=1, error="No.", code="template_error")


@pytest.fixture
def listed(api):
    """Ask for a page and return the ids on it, and the next cursor."""

    def ask(**query):
        answer = api.get("/api/v1/jobs", **query)
        assert answer.status_code == 200, answer.content
        assert list(answer.json()) == ["jobs", "next_cursor"]
        return [job["id"] for job in answer.json()["jobs"]], answer.json()["next_cursor"]

    return ask


def test_answer_to_a_new_render_names_its_job(api):
    created = api.post("/api/v1/renders", {"template_id": api.template()}).json()
    assert created["job_id"] == api.team.renders.get(pk=created["id"]).job_id


def test_a_render_names_its_job_and_the_job_its_render(api, accept):
    render = accept(api, api.template())
    created = {"id": render.id, "job_id": render.job_id}
    (item,) = api.get("/api/v1/jobs").json()["jobs"]
    assert item == {
        "id": created["job_id"],
        "self": f"http://localhost:8000/api/v1/jobs/{created['job_id']}",
        "source": "api",
        "created_at": item["created_at"],
        "finished_at": None,
        "render_count": 1,
        "renders_by_status": {"pending": 1, "running": 0, "completed": 0, "failed": 0},
        "deleted_count": 0,
    }
    read = api.get(f"/api/v1/renders/{created['id']}").json()
    listed = api.get("/api/v1/renders").json()["renders"]
    assert read["job_id"] == created["job_id"]
    assert api.get(f"/api/v1/jobs/{created['job_id']}").json() == {**item, "renders": listed, "next_cursor": None}


def test_counts_by_status_and_an_end_when_the_last_has_ended(api, bulk):
    job_id, ids = bulk(5)
    complete(ids[0])
    complete(ids[1])
    fail(ids[2])
    statements.claim(ids[3], lease_seconds=3600)
    job = api.get(f"/api/v1/jobs/{job_id}").json()
    assert (job["source"], job["render_count"], job["finished_at"]) == ("csv", 5, None)
    assert job["renders_by_status"] == {"pending": 1, "running": 1, "completed": 2, "failed": 1}
    assert statements.fail(ids[3], attempt=1, error="No.", code="template_error")
    complete(ids[4])
    Render.objects.filter(pk=ids[1]).update(finished_at=dt.datetime(2126, 1, 1, tzinfo=dt.UTC))
    job = api.get(f"/api/v1/jobs/{job_id}").json()
    assert job["renders_by_status"] == {"pending": 0, "running": 0, "completed": 3, "failed": 2}
    assert job["finished_at"] == "2126-01-01T00:00:00.000Z"
    (item,) = api.get("/api/v1/jobs").json()["jobs"]
    assert item == {name: value for name, value in job.items() if name not in {"renders", "next_cursor"}}


def test_renders_of_a_job_come_a_hundred_at_a_time(api, bulk):
    job_id, _ = bulk(1)
    template = api.team.renders.get().template
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO renders_render (id, team_id, job_id, template_id, template_version_id, template_name,
                engine, format, visibility, data, options, filename, queue, status, attempt, rings, error_code,
                report, superseded_files_deleted)
            SELECT 'c' || lpad(number::text, 24, '0'), %s, %s, %s, %s, 'Hello', 'typst', 'pdf', 'public', '{}', '{}',
                'x.pdf', 'nobody', 'pending', 0, 0, '', '{}', false FROM generate_series(1, 249) AS number""",
            [api.team.id, job_id, template.id, template.current_version_id],
        )
    try:
        pages, cursor = [], None
        while cursor or not pages:
            body = api.get(f"/api/v1/jobs/{job_id}", **({"cursor": cursor} if cursor else {})).json()
            pages.append([render["id"] for render in body["renders"]])
            cursor = body["next_cursor"]
        assert [len(page) for page in pages] == [100, 100, 50]
        seen = list(itertools.chain.from_iterable(pages))
        assert seen == sorted(set(seen), reverse=True)
        assert body["renders_by_status"]["pending"] == body["render_count"] == 250
        few = api.get(f"/api/v1/jobs/{job_id}", limit=2).json()
        assert ([render["id"] for render in few["renders"]], few["next_cursor"]) == (seen[:2], seen[1])
    finally:
        Render.objects.filter(job_id=job_id).delete()  # other tests of this run may make the same ids


def test_a_render_of_another_job_is_no_cursor(api, bulk):
    job_id, _ = bulk(1)
    _, others = bulk(1)
    answer = api.get(f"/api/v1/jobs/{job_id}", cursor=others[0])
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "cursor")


def test_newest_first_and_page_by_page(bulk, listed):
    ids = [bulk(1)[0] for _ in range(5)][::-1]
    assert listed() == (ids, None)
    assert listed(limit=2) == (ids[:2], ids[1])
    assert listed(limit=2, cursor=ids[1]) == (ids[2:4], ids[3])
    assert listed(limit=2, cursor=ids[3]) == (ids[4:], None)


def test_filter_by_source(bulk, listed):
    csv, form = bulk(1, "csv")[0], bulk(1, "form")[0]
    assert listed(source="csv") == ([csv], None)
    assert listed(source="form") == ([form], None)
    assert listed(source="api") == ([], None)
    assert listed(source="csv", cursor=form) == ([csv], None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "c" * 25}, "cursor"),
        ({"cursor": "\x00"}, "cursor"),
        ({"source": "email"}, "source"),
        ({"source": ""}, "source"),
    ],
)
def test_wrong_query_is_422(api, query, field):
    answer = api.get("/api/v1/jobs", **query)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, field)


@pytest.mark.parametrize("path", ["jobs", "jobs/{job}"])
def test_takes_the_same_number_of_statements_however_many_renders_there_are(
    api, bulk, django_assert_num_queries, path
):
    """The list: the key, the jobs, the counts. One job: the key, the job, the counts, the renders."""
    job_id, _ = bulk(1)
    api.credits()  # the first call of a key notes that the key is in use, and looks up the team's limits
    for count in (1, 3):
        bulk(count)
        with django_assert_num_queries(3 if path == "jobs" else 4):
            assert api.get(f"/api/v1/{path.format(job=job_id)}").status_code == 200


def test_counts_read_the_index_only(api, bulk):
    """Counting a job of 10,000 renders must not fetch 10,000 rows with everything that was sent for them."""
    job_id, _ = bulk(3)
    counts = Render.objects.filter(job_id__in=[job_id]).values_list("job_id", "status", "finished_at", "deleted_at")
    with connection.cursor() as cursor:
        # Whether a bitmap would be cheaper hangs on the statistics, which are gathered at any time.
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("SET enable_bitmapscan = off")
        try:
            assert "Index Only Scan using render_by_job" in counts.explain()
        finally:
            cursor.execute("RESET enable_seqscan")
            cursor.execute("RESET enable_bitmapscan")


def test_deleted_renders_still_count_and_are_not_listed(api, bulk):
    job_id, ids = bulk(3)
    complete(ids[0])
    fail(ids[1])
    for render_id in ids[1:]:
        assert api.send("DELETE", f"/api/v1/renders/{render_id}").status_code == 200
    job = api.get(f"/api/v1/jobs/{job_id}").json()
    assert job["renders_by_status"] == {"pending": 0, "running": 0, "completed": 1, "failed": 2}
    assert (job["render_count"], job["deleted_count"], [one["id"] for one in job["renders"]]) == (3, 2, ids[:1])
    assert job["finished_at"] is not None
    # Whoever stands at a row that is deleted now goes on from there.
    after = api.get(f"/api/v1/jobs/{job_id}", cursor=ids[1])
    assert (after.status_code, after.json()["renders"]) == (200, [])


def test_unknown_job_is_404(api):
    answer = api.get(f"/api/v1/jobs/{new_id()}")
    assert (answer.status_code, answer.content) == (404, b'{"error":"Not found."}')


def test_job_without_renders_is_finished_never(api):
    job = Job.objects.create(team=api.team, source="csv", created_at=Now())
    body = api.get(f"/api/v1/jobs/{job.id}").json()
    assert (body["render_count"], body["finished_at"], body["renders"]) == (0, None, [])
