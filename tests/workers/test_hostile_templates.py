"""Templates that try to take the machine down. Each ends within its limits, and nothing else notices.

The templates are in `tests/hostile/typst/`; `tests/hostile/test_typst_controls.py` takes the guards away.
"""

from collections.abc import Iterator

import pytest

from tests.hostile.corpus import FOLDER, LEAKS, cases, is_clean, tried
from tests.hostile.listening import Listener, listening
from workers.errors import EngineError, LimitExceededError, RenderError
from workers.job import RenderJob

TIME_SECONDS = 0.7
ERRORS = {"template_error", "resource_limit", "engine_error"}


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def unharmed(pool, listener):
    """Afterwards the zygote is the same, nothing is at work, nobody came by, and the next good render is fine."""
    zygote = pool.status()["zygote_pid"]
    yield
    assert pool.render("a hostile team", RenderJob(source="fine")).pages == 1
    assert pool.render("another team", RenderJob(source="fine")).pages == 1
    assert pool.status()["zygote_pid"] == zygote
    assert (pool.status()["working"], pool.status()["running"]) == (0, True)
    assert listener.heard == []


def test_every_template_has_its_line_in_the_manifest():
    assert {path.stem for path in FOLDER.glob("*.typ")} == set(cases())
    assert {case.outcome for case in cases().values()} == {*ERRORS, "completed"}


@pytest.mark.parametrize("name", cases())
@pytest.mark.usefixtures("unharmed")
def test_template_is_contained(pool, listener, name):
    case = cases()[name]
    job = case.job(listener.port)
    if case.outcome == "completed":
        assert 0 < pool.render("a hostile team", job).pages <= job.limits.max_pages
        return
    with pytest.raises(RenderError) as caught:
        pool.render("a hostile team", job)
    error = caught.value
    assert (error.code, error.retry) == (case.outcome, False), error.message
    assert case.accepts(error.message, listener.port), error.message
    assert LEAKS.search(" ".join([error.message, *getattr(error, "hints", ())])) is None


@pytest.mark.usefixtures("unharmed")
def test_time_that_is_up_is_told_with_the_limit(pool, listener):
    with pytest.raises(LimitExceededError) as caught:
        pool.render("a hostile team", cases()["for-in-for"].job(listener.port))
    assert caught.value.message == f"compilation timed out after {TIME_SECONDS} s"


@pytest.mark.usefixtures("unharmed")
def test_memory_that_is_used_up_is_told_with_the_limit(pool, listener):
    with pytest.raises(LimitExceededError) as caught:
        pool.render("a hostile team", cases()["string-that-doubles"].job(listener.port))
    assert caught.value.message == "memory limit of 400 MB exceeded"


@pytest.mark.parametrize("format_name", ["pdf", "png", "svg"])
@pytest.mark.usefixtures("unharmed")
def test_page_of_absurd_size_is_an_error_or_a_file_in_every_format(pool, format_name):
    job = RenderJob(source="#set page(width: 1e300pt)\na", format=format_name)
    outcome = tried(lambda: pool.render("a hostile team", job))
    assert is_clean(outcome) if isinstance(outcome, EngineError) else outcome.pages == 1


@pytest.mark.usefixtures("unharmed")
def test_exactly_the_allowed_pages_are_fine(pool):
    assert pool.render("a hostile team", RenderJob(source="#pagebreak()\n" * 499)).pages == 500


@pytest.mark.usefixtures("unharmed")
def test_source_and_data_that_cannot_be_sent_are_refused(pool):
    with pytest.raises(LimitExceededError) as caught:
        pool.render("a hostile team", RenderJob(source="Hi", data=b'"' + b"x" * (64 << 20) + b'"'))
    assert caught.value.message == "source and data are larger than 64 MB"
