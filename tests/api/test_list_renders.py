import pytest

from automette.lib.ids import new_id
from renders import statements


@pytest.fixture
def listed(api):
    """Ask for a page and return the ids on it, and the next cursor."""

    def ask(**query):
        answer = api.get("/api/v1/renders", **query)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert list(body) == ["renders", "next_cursor"]
        return [render["id"] for render in body["renders"]], body["next_cursor"]

    return ask


def make(accept, api, count: int, **more) -> list[str]:
    """Return the ids of new renders, newest first."""
    template_id = api.template()
    return sorted((accept(api, template_id, **more).id for _ in range(count)), reverse=True)


def test_item_has_the_documented_keys(api, accept):
    template_id = api.template(name="Letter")
    render = accept(api, template_id)
    (item,) = api.get("/api/v1/renders").json()["renders"]
    assert item == {
        "id": render.id,
        "self": f"http://localhost:8000/api/v1/renders/{render.id}",
        "status": "pending",
        "url": None,
        "format": "pdf",
        "template_id": template_id,
        "template_name": "Letter",
        "error": None,
        "created_at": item["created_at"],
        "job_id": render.job_id,
        "expires_at": None,
        "expired_at": None,
    }


def test_default_page_has_twenty_newest_first(api, accept, listed):
    ids = make(accept, api, 21)
    assert listed() == (ids[:20], ids[19])
    assert listed(cursor=ids[19]) == (ids[20:], None)


def test_last_full_page_has_no_cursor(api, accept, listed):
    ids = make(accept, api, 4)
    assert listed(limit=4) == (ids, None)
    assert listed(limit=3) == (ids[:3], ids[2])
    assert listed(limit=100) == (ids, None)


def test_cursor_of_the_last_row_leads_to_an_empty_page(api, accept, listed):
    ids = make(accept, api, 2)
    assert listed(cursor=ids[-1]) == ([], None)


def test_no_row_is_skipped_or_repeated_while_new_ones_arrive(api, accept, listed):
    ids = make(accept, api, 11)
    seen, cursor = listed(limit=3)
    while cursor:
        make(accept, api, 2)
        page, cursor = listed(limit=3, cursor=cursor)
        seen += page
    assert seen == ids


def test_filter_by_status(api, accept, listed):
    done, running, waiting = make(accept, api, 3)
    for render_id in (done, running):
        statements.claim(render_id, lease_seconds=3600)
    statements.fail(done, attempt=1, error="No.", code="template_error")
    assert listed(status="failed") == ([done], None)
    assert listed(status="running") == ([running], None)
    assert listed(status="pending") == ([waiting], None)
    assert listed(status="completed") == ([], None)


def test_filter_by_template(api, accept, listed):
    first, second = make(accept, api, 1), make(accept, api, 2)
    template_id = api.team.renders.get(pk=second[0]).template_id
    assert listed(template_id=template_id) == (second, None)
    assert listed(template_id=template_id, status="pending", limit=1) == (second[:1], second[0])
    assert listed(template_id=new_id()) == ([], None)
    assert sorted(listed()[0]) == sorted(first + second)


def test_cursor_is_good_under_another_filter(api, accept, listed):
    ids = make(accept, api, 3)
    statements.claim(ids[0], lease_seconds=3600)
    assert listed(status="pending", cursor=ids[0]) == (ids[1:], None)


@pytest.mark.parametrize("cursor", ["", "x", "0", "c" * 25, "null", "\x00", "\U0001f600", "c" * 101, "' OR 1=1 --"])
def test_unknown_cursor_is_422(api, cursor):
    answer = api.get("/api/v1/renders", cursor=cursor)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "cursor")


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "ten", "", "1e1", "9" * 5000, "\x00", "NaN", "0x10"])
def test_limit_out_of_range_is_422(api, limit):
    answer = api.get("/api/v1/renders", limit=limit)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "limit")


@pytest.mark.parametrize("limit", ["1", "100"])
def test_bounds_of_the_limit_are_inside(api, limit):
    assert api.get("/api/v1/renders", limit=limit).status_code == 200


@pytest.mark.parametrize("status", ["done", "PENDING", "", "pending,failed"])
def test_unknown_status_is_422(api, status):
    answer = api.get("/api/v1/renders", status=status)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "status: Must be one of: pending, running, completed, failed."},
    )


@pytest.mark.parametrize("page", [1, 5])
def test_every_page_takes_the_same_number_of_statements(api, accept, listed, django_assert_num_queries, page):
    """The key, the cursor, the page: three, wherever the page lies and however long it is."""
    ids = make(accept, api, 12)
    api.credits()  # the first call of a key notes that the key is in use, and looks up the team's limits
    with django_assert_num_queries(3):
        listed(limit=2, cursor=ids[page])
