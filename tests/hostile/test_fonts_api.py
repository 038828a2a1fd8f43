"""Hostile fonts through the API: refused at the upload, or kept, and then no render goes without a documented end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from templates_app.models import Font
from tests.hostile.application import Application, Caller, content_of, running
from tests.hostile.fonts import HOSTILE, UNREADABLE, hostile_font, lato
from tests.hostile.listening import Listener, listening
from tests.hostile.office import IS_INSTALLED
from workers.docx.font_sample import sample_document

OWN_REDIS_DATABASE = 10
LIMITS = {"TYPST_SECONDS": "5", "TYPST_MEMORY_MB": "512", "DOCX_SECONDS": "10"}
AT_ONCE = 4
TOO_LARGE_TO_SEND = "60 MB of zeros"
LAYER = {"type": "text", "x": 0, "y": 0, "width": 200, "height": 60, "text": "Hello AVfi 123"}
Outcome = dict[str, requests.Response]
"""The answer to the `upload`, and after one that was kept, to renders by engine and to `another team`."""


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def application(test_environment, tmp_path_factory) -> Iterator[Application]:
    with running(tmp_path_factory.mktemp("hostile-fonts"), OWN_REDIS_DATABASE, **LIMITS) as found:
        yield found


@pytest.fixture(scope="module")
def callers(application) -> dict[str, Caller]:
    """A team for each font: fonts of one name hide each other."""
    return {name: application.caller() for name in HOSTILE}


def rendered(caller: Caller, family: str) -> Outcome:
    layers = [{**LAYER, "font_family": family}]
    templates = {
        "typst": caller.template(f"#set text(font: {json.dumps(family, ensure_ascii=False)})\nHello AVfi 123"),
        "canvas": caller.template({"width": 200, "height": 60, "layers": layers}),
        "docx": caller.word(sample_document(family)),
    }
    formats = {"canvas": "png"}
    return {engine: caller.render(each, format=formats.get(engine, "pdf")) for engine, each in templates.items()}


@pytest.fixture(scope="module")
def outcomes(application, callers, listener) -> dict[str, Outcome]:
    """What came of every font, a few at once."""
    bystander = application.caller()
    plain = bystander.template()

    def tried(name: str) -> Outcome:
        answer = callers[name].upload("fonts", hostile_font(name, listener.port), "font.ttf")
        if answer.status_code != 201:
            return {"upload": answer}
        own = rendered(callers[name], answer.json()["families"][0])
        return {"upload": answer, **own, "another team": bystander.render(plain)}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip(HOSTILE, threads.map(tried, HOSTILE), strict=True))
    assert bystander.paid_for_what_was_completed()
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_font_is_refused_or_harms_nobody(callers, outcomes, name):
    answer = outcomes[name]["upload"]
    if name == TOO_LARGE_TO_SEND:
        assert answer.status_code == 413, answer.text
    else:
        assert answer.status_code in ({422} if name in UNREADABLE else {201, 422}), answer.text
    if answer.status_code == 201:
        for engine in ("typst", "canvas", "docx"):
            assert content_of(outcomes[name][engine]) or outcomes[name][engine].status_code == 422
        assert outcomes[name]["another team"].status_code == 200
    else:
        assert 10 < len(answer.json()["error"]) <= 500
        assert not Font.objects.filter(team=callers[name].team).exists()
    assert callers[name].paid_for_what_was_completed()


def test_good_font_is_kept_and_used(application):
    """The control: what was damaged above was fine, and every engine has it."""
    caller = application.caller()
    kept = caller.upload("fonts", lato(), "font.ttf")
    assert (kept.status_code, kept.json().get("families")) == (201, ["Lato"]), kept.text
    for engine, answer in rendered(caller, "Lato").items():
        if content_of(answer):
            assert "Lato" in caller.team.renders.get(pk=answer.json()["id"]).report["fonts_used"]
        else:
            assert (engine, IS_INSTALLED) == ("docx", False)


def test_some_of_them_were_kept(outcomes):
    """The control of the corpus: not everything ends at the upload."""
    assert sum(outcome["upload"].status_code == 201 for outcome in outcomes.values()) >= 5


def test_afterwards_the_same_worker_renders(application, listener):
    application.assert_unharmed()
    assert listener.heard == []
    assert listener.hears()
