import pytest
from django.db import connection

from renders import statements
from renders.models import Render

FOR_NOW = "The render is not finished yet. Ask again in a moment."


def claimed(render: Render):
    return statements.claim(render.id, lease_seconds=3600)


def completed(render: Render) -> Render:
    """End a render as a worker does; its file is not in the store."""
    taken = claimed(render)
    file = statements.StoredFile(
        format=render.format,
        key=f"{'renders' if render.visibility == 'public' else 'secure'}/{render.id}.{render.format}",
        media_type="application/pdf",
        size_bytes=3,
        sha256="0" * 64,
    )
    assert statements.complete(taken, files=[file], pages=1, report={})
    return render


def failed(render: Render) -> Render:
    claimed(render)
    assert statements.fail(render.id, attempt=1, error="No.", code="template_error")
    return render


def test_answer_has_the_documented_keys(api, accept):
    template_id = api.template(name="Letter")
    render = accept(api, template_id, data='{"a":1}', webhook_url="https://a.example/")
    body = api.get(f"/api/v1/renders/{render.id}").json()
    assert body == {
        "id": render.id,
        "self": f"http://localhost:8000/api/v1/renders/{render.id}",
        "status": "pending",
        "url": None,
        "format": "pdf",
        "template_id": template_id,
        "template_name": "Letter",
        "data": {"a": 1},
        "created_at": body["created_at"],
        "job_id": body["job_id"],
        "expires_at": None,
        "expired_at": None,
        "webhook_url": "https://a.example/",
        "webhook_deliveries": None,
        "error": None,
        "pages": None,
        "report": {},
    }


@pytest.mark.parametrize(
    ("bring_to", "status", "error"),
    [(claimed, "running", None), (completed, "completed", None), (failed, "failed", "No.")],
)
def test_status_follows_the_render(api, accept, bring_to, status, error):
    render = accept(api, api.template())
    bring_to(render)
    body = api.get(f"/api/v1/renders/{render.id}").json()
    url = f"http://localhost:8000/renders/{render.id}.pdf" if status == "completed" else None
    assert (body["status"], body["url"], body["error"]) == (status, url, error)


@pytest.mark.parametrize("bring_to", [lambda render: render, claimed], ids=["pending", "running"])
def test_download_of_an_unfinished_render_is_425(api, accept, bring_to):
    render = accept(api, api.template())
    bring_to(render)
    answer = api.get(f"/api/v1/renders/{render.id}", download="true")
    assert (answer.status_code, answer.json()) == (425, {"error": FOR_NOW})


def test_download_of_a_failed_render_is_404(api, accept):
    render = failed(accept(api, api.template()))
    answer = api.get(f"/api/v1/renders/{render.id}", download="true")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})


@pytest.mark.parametrize("query", [{}, {"format": "pdf"}])
def test_download_of_a_public_render_leads_to_its_address(api, accept, query):
    render = completed(accept(api, api.template()))
    answer = api.get(f"/api/v1/renders/{render.id}", download="true", **query)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://localhost:8000/renders/{render.id}.pdf"


def test_download_of_a_secure_render_is_signed_and_not_to_be_kept(api, accept):
    render = completed(accept(api, api.template(), visibility="secure"))
    answer = api.get(f"/api/v1/renders/{render.id}", download="true")
    assert answer.status_code == 302
    assert "X-Amz-Signature=" in answer.headers["Location"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_format_that_the_render_lacks_is_404(api, accept):
    render = completed(accept(api, api.template()))
    answer = api.get(f"/api/v1/renders/{render.id}", download="true", format="png")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not found."})


@pytest.mark.parametrize("query", [{"format": "gif"}, {"format": ""}, {"download": "perhaps"}, {"download": "\x00"}])
def test_bad_query_is_422(api, accept, query):
    render = accept(api, api.template())
    answer = api.get(f"/api/v1/renders/{render.id}", **query)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, next(iter(query)))


@pytest.mark.parametrize("download", ["false", "0"])
def test_without_download_the_render_is_told(api, accept, download):
    render = completed(accept(api, api.template()))
    assert api.get(f"/api/v1/renders/{render.id}", download=download).json()["status"] == "completed"


def test_renamed_template_leaves_the_renders_name(api, accept):
    template_id = api.template(name="Before")
    render = accept(api, template_id)
    api.team.templates.update(name="After")
    assert api.get(f"/api/v1/renders/{render.id}").json()["template_name"] == "Before"


def test_a_read_takes_two_statements(api, accept, django_assert_num_queries):
    """One for the key with its team, one for the render: nothing else may creep in."""
    render = accept(api, api.template())
    api.get("/api/v1/credits")  # notes the key's use
    with django_assert_num_queries(2, connection=connection):
        api.get(f"/api/v1/renders/{render.id}")
