"""A source is tried out by a worker before it is kept, with its own defaults or with the caller's example data."""

import pytest
import requests

from automette.lib.rate_limits import waiting_call
from templates_app.models import Template
from tests.api.asset_calls import picture, upload
from tests.conftest import HELLO, free_port

PATH = "/api/v1/templates"
NEEDS_DATA = """#let total = 0
Dear #data.name,
#for line in data.lines [#line.title: #(line.price * 2)]
"""
NOT_TO_THE_END = "The source was not compiled to its end"


def create(api, source, engine="typst", **more):
    return api.post(PATH, {"name": "A", "engine": engine, "source": source, **more})


def refused(api, nothing_changes, source, **more) -> dict:
    with nothing_changes(api):
        answer = create(api, source, **more)
    assert answer.status_code == 422, answer.content
    return answer.json()


def diagnostic(**more) -> dict:
    return {"file": None, "line": None, "column": None, "hint": None, **more}


def test_source_that_compiles_is_taken_and_costs_nothing(server, api):
    answer = create(api, HELLO)
    assert (answer.status_code, answer.json()["warnings"], api.credits()) == (201, [], 100)
    assert not api.team.renders.exists()


def test_answer_says_what_is_wrong_and_where(server, api, nothing_changes):
    assert refused(api, nothing_changes, "= Title\n\n  #fooo(1)\n") == {
        "error": "source: line 3, column 4: unknown variable: fooo",
        "diagnostics": [diagnostic(line=3, column=4, message="unknown variable: fooo")],
    }


def test_hint_of_the_engine_is_told(server, api, nothing_changes):
    body = refused(api, nothing_changes, "#let my-name = 1\n#(my-name2)\n#let a-b = 1")
    assert body["diagnostics"][0]["message"] == "unknown variable: my-name2"
    body = refused(api, nothing_changes, "#let a = 1\n#(a-b)")
    (found,) = body["diagnostics"]
    assert (found["line"], found["hint"]) == (2, body["detail"])
    assert "adding spaces around the minus sign" in found["hint"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("#let x =", "expected expression"),
        ("#text(", "unclosed delimiter"),
        ("#text(fill: 3)[a]", "expected color"),
        ('#image("logo.png")', "file not found: logo.png"),
        ('#import "@preview/cetz:0.3.4": canvas', "package @preview/cetz:0.3.4 is not installed on this server"),
        ("#let colors = (a: red)\n#colors.b", "dictionary does not contain key"),
        ('#data.at("lines", default: ()).first()', "array is empty"),
        ('#data.at("name", default: "x") #panic("no")', "panicked with"),
    ],
)
def test_source_that_cannot_be_compiled_with_its_own_values_is_refused(server, api, nothing_changes, source, message):
    body = refused(api, nothing_changes, source)
    assert body["diagnostics"][0]["message"].startswith(message)


@pytest.mark.parametrize(
    "source",
    ["#data.name", '#data.at("name")', "#sys.inputs.name", '#upper(data.name) #data.at("of", default: 3)'],
)
def test_value_without_a_default_is_stood_in_for_by_its_key(server, api, source):
    answer = create(api, source)
    assert (answer.status_code, answer.json()["warnings"]) == (201, [])


def test_source_that_needs_data_of_a_kind_is_taken_and_told_of(server, api):
    answer = create(api, NEEDS_DATA)
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert warning.startswith(NOT_TO_THE_END)
    assert "line 3, column" in warning
    assert "example_data" in warning


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("#fooo", "unknown variable: fooo"),
        ("#let x =", "expected expression"),
        ('#image("images/logo.png")', "file not found: images/logo.png"),
        ('#import "theme.typ": *', "file not found: theme.typ"),
        ('#import "@preview/cetz:0.3.4": canvas', "package @preview/cetz"),
        ("#calc.foo(1)", "module `calc` does not contain `foo`"),
    ],
)
def test_what_no_data_could_cure_is_refused_behind_a_missing_value_too(server, api, nothing_changes, more, message):
    body = refused(api, nothing_changes, f"#data.name\n{more}")
    assert body["diagnostics"][0]["message"].startswith(message)
    assert body["diagnostics"][0]["line"] == 2


def test_file_that_the_data_names_is_not_missed(server, api):
    answer = create(api, '#image(data.logo) #image("images/" + data.logo + ".png")')
    assert (answer.status_code, answer.json()["warnings"][0].startswith(NOT_TO_THE_END)) == (201, True)


def test_example_data_is_what_the_source_is_tried_out_with(server, api, nothing_changes):
    good = {"name": "Zoë", "lines": [{"title": "A", "price": 1.50}]}
    answer = create(api, NEEDS_DATA, example_data=good)
    assert (answer.status_code, answer.json()["warnings"]) == (201, [])
    version = Template.objects.get(pk=answer.json()["id"]).current_version
    assert version.example_data == '{"name":"Zoë","lines":[{"title":"A","price":1.5}]}'
    body = refused(api, nothing_changes, NEEDS_DATA, example_data={**good, "lines": [{"title": "A"}]})
    assert body["diagnostics"][0]["message"] == 'dictionary does not contain key "price"'
    assert "example_data" in body["detail"]


@pytest.mark.parametrize("value", ["x", [], 1, None])
def test_example_data_of_another_type_is_422(api, nothing_changes, value):
    assert refused(api, nothing_changes, HELLO, example_data=value)["error"].startswith("example_data: ")


def test_source_may_use_the_teams_assets(server, api, nothing_changes):
    source = '#image("images/logo.png")'
    assert "images/logo.png" in refused(api, nothing_changes, source)["error"]
    upload(api, picture(), name="images/logo.png")
    assert create(api, source).status_code == 201


def test_asset_of_another_template_is_not_there(server, api, nothing_changes):
    upload(api, picture(), name="logo.png", template_id=api.template())
    assert "logo.png" in refused(api, nothing_changes, '#image("logo.png")')["error"]


def test_unknown_font_is_told_as_a_warning(server, api):
    answer = create(api, '#set text(font: "Nobody Has It")\nHi')
    assert (answer.status_code, answer.json()["warnings"]) == (
        201,
        ["line 1, column 17: unknown font family: nobody has it"],
    )


def card(**layer) -> dict:
    box = {"x": 0, "y": 0, "width": 10, "height": 10}
    return {"width": 10, "height": 10, "layers": [{"type": "image", **box, **layer}]}


def test_canvas_document_is_drawn(server, api, nothing_changes):
    assert create(api, card(field="photo"), "canvas").json()["warnings"] == []
    body = refused(api, nothing_changes, card(src="logo.png"), engine="canvas")
    assert 'names the file "logo.png", which the template does not have' in body["diagnostics"][0]["message"]
    body = refused(api, nothing_changes, card(fit="round"), engine="canvas")
    assert body["diagnostics"] == [diagnostic(message=body["error"].removeprefix("source: "))]


def test_images_by_address_are_not_fetched_for_it(server, api):
    answer = create(api, card(src="http://127.0.0.1:1/a.png"), "canvas")
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [
        "The document was not drawn to its end: images by address are fetched by renders only."
    ]


def test_source_that_takes_too_long_is_refused(server, api, nothing_changes):
    body = refused(
        api, nothing_changes, "#for a in range(9999) { for b in range(9999) { for c in range(9999) { let x = a } } }"
    )
    assert body["error"] == "source: compilation timed out after 10 s"


def test_file_of_another_team_is_not_there(server, api, other_api, nothing_changes):
    upload(other_api, picture(), name="logo.png")
    assert "logo.png" in refused(api, nothing_changes, '#image("logo.png")')["error"]


def test_with_the_broker_away_nothing_is_created(api, nothing_changes, start_web):
    base = start_web(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    body = {"name": "A", "engine": "typst", "source": HELLO}
    with nothing_changes(api):
        answer = requests.post(base + PATH, json=body, headers={"Authorization": f"Bearer {api.key}"}, timeout=100)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json() == {"error": "No worker could look at it just now. Try again in a moment."}


@pytest.mark.usefixtures("server", "patient_redis")
def test_a_team_waits_for_as_many_answers_as_it_may_for_renders(api, other_api, settings, nothing_changes):
    settings.SYNC_WAITERS_PER_TEAM = 1
    with waiting_call(api.team.id, at_once=1, seconds=100):
        with nothing_changes(api):
            assert create(api, HELLO).status_code == 429
        assert create(other_api, HELLO).status_code == 201
    assert create(api, HELLO).status_code == 201


def test_repeat_with_the_same_key_creates_nothing(server, api):
    body, headers = {"name": "A", "engine": "typst", "source": HELLO}, {"Idempotency-Key": "upload-2026-1"}
    first, again = (api.post(PATH, body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert api.team.templates.count() == 1
