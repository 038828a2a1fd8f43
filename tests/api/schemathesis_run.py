"""`make schemathesis`: the running application against docs/openapi.json, with every check and the keys of two teams.

Not collected by the tests: it takes SECONDS (300 when not said). The ids of both teams' things are tried with both
keys, and nothing of one may be told to the other.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rendercv_fonts

from automette import openapi_examples as made_up
from automette.lib.ids import new_id
from ondemand.services import replace_url_base
from templates_app.assets import save_asset
from templates_app.fonts import add_font
from tests.conftest import ROOT, Processes, is_ready, wait_until
from webhooks.redelivery import send_test
from webhooks.services import create_subscription

OF_EACH = 4
ACCEPTED = ["2xx", "3xx", "401", "402", "403", "404", "409", "422", "425", "429"]
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "414", "415", "422", "428", "429"]
SECONDS = int(os.environ.get("SECONDS", "300"))
FONTS = [path.read_bytes() for path in sorted(Path(rendercv_fonts.__file__).parent.glob("Lato/*.ttf"))[:OF_EACH]]
CANVAS = {"width": 20, "height": 20, "layers": [{"type": "rect", "x": 0, "y": 0, "width": 20, "height": 20}]}
RECEIVER = "https://127.0.0.1/webhooks"  # nobody sends here: no process serves the queue
MADE_UP = {
    "template_id": made_up.TEMPLATE_ID,
    "render_id": made_up.RENDER_ID,
    "job_id": made_up.JOB_ID,
    "asset_id": made_up.ASSET_ID,
    "font_id": made_up.FONT_ID,
    "webhook_id": made_up.WEBHOOK_ID,
    "delivery_id": made_up.DELIVERY_ID,
}


@pytest.fixture
def unlimited_server(test_environment, tmp_path):
    """The whole application, in which no team sends too much."""
    started = Processes(tmp_path)
    limits = {"RATE_LIMIT_PER_MINUTE": "0", "SYNC_WAITERS_PER_TEAM": "0", "RUNNING_RENDERS_PER_TEAM": "0"}
    try:
        base = started.web(**limits)
        started.worker(**limits)
        started.sweeper(**limits)
        wait_until(lambda: is_ready(base), 60)
        yield base
    finally:
        started.stop()
        kept = ROOT / ".local" / "schemathesis"
        kept.mkdir(parents=True, exist_ok=True)
        for process in started.running:
            (kept / process.log.name).write_bytes(process.log.read_bytes())


def things_of(api, word: str) -> dict[str, list[str]]:
    """Make a team's things, each with a word in it that nobody else may read; return their ids by kind."""
    ids: dict[str, list[str]] = {kind: [] for kind in MADE_UP}
    for number in range(OF_EACH):
        engine, source = ("canvas", CANVAS) if number == 1 else ("typst", f'#data.at("{word}", default: "World")')
        template_id = api.template(source, name=f"{word} {number}", engine=engine)
        asset, _ = save_asset(team=api.team, actor="test", content=word.encode(), name=f"{word}/{number}.txt")
        font, _ = add_font(team=api.team, actor="test", content=FONTS[number], filename=f"{word} {number}.ttf")
        subscription, _ = create_subscription(team=api.team, actor="test", url=RECEIVER, events=["form.submitted"])
        delivery = send_test(team=api.team, actor="test", subscription_id=subscription.id)
        replace_url_base(team=api.team, actor="test", template_id=template_id)
        status, render = api.render(template_id, data={word: number}, visibility="secure")
        assert status == 200, render
        ids["template_id"].append(template_id)
        ids["asset_id"].append(asset.id)
        ids["font_id"].append(font.id)
        ids["render_id"].append(render["id"])
        ids["job_id"].append(render["job_id"])
        ids["webhook_id"].append(subscription.id)
        ids["delivery_id"].append(delivery.id)
    return ids


def document_with(ids: dict[str, list[str]], folder: Path) -> Path:
    """The document in the repository, with ids that exist in its examples."""
    text = (ROOT / "docs" / "openapi.json").read_text()
    real = {example: ids[kind][0] for kind, example in MADE_UP.items()}
    real[made_up.CANVAS_TEMPLATE_ID] = ids["template_id"][1]
    for name, value in real.items():
        text = text.replace(name, value)
    path = folder / "openapi.json"
    path.write_text(text)
    return path


def configuration(teams, ids: dict[str, list[str]], folder: Path) -> Path:
    auth = {
        "auth": [
            {"name": word, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {api.key}"}]}
            for word, api in teams.items()
        ]
    }
    (folder / "auth.json").write_text(json.dumps(auth))
    lines = ["[auth.wfc]", f"path = {json.dumps(str(folder / 'auth.json'))}", f"peers = {json.dumps(list(teams))}"]
    for name, values in ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps([*values, new_id()])}"]
    # Whether a source compiles, a cursor is known or a credit is left, no schema can say.
    lines += ["[checks.positive_data_acceptance]", f"expected-statuses = {json.dumps(ACCEPTED)}"]
    # Called by refuses_wrong_json, but for forms: names of parts that nobody knows are read all the same, and twice
    # the same one, or one without end, is no form.
    lines += ["[checks.negative_data_rejection]", f"expected-statuses = {json.dumps(REFUSED)}"]
    lines += ["[parameters]"]
    for name in ids:
        lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.8 }}']
    lines += ['"body.template_id" = { dictionary = "template_id", probability = 0.8 }']
    lines += ['"query.template_id" = { dictionary = "template_id", probability = 0.8 }']
    names = ["create_template", "update_template", "save_asset", "add_font"]
    lines += ["[[operations]]", f"include-operation-id = {json.dumps(names)}"]
    lines += [f"checks.positive_data_acceptance.expected-statuses = {json.dumps([*ACCEPTED, '400'])}"]
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.timeout(SECONDS + 300)
def test_document_and_application_agree(unlimited_server, new_api, tmp_path):
    teams = {"aardvark": new_api(credits=100_000), "buzzard": new_api(credits=100_000)}
    made = {word: things_of(api, word) for word, api in teams.items()}
    ids = {kind: [id_ for things in made.values() for id_ in things[kind]] for kind in made["aardvark"]}
    owners = {
        id_: f"Bearer {api.key}" for word, api in teams.items() for things in made[word].values() for id_ in things
    }
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file"),
        str(configuration(teams, ids, tmp_path)),
        *("run", str(document_with(made["aardvark"], tmp_path)), "--url", unlimited_server, "--checks", "all"),
        *("--exclude-checks", "negative_data_rejection"),  # disabled in the file, it would run for some operations
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(SECONDS), "--continue-on-failure"),
        *("--request-timeout", "60"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_checks",
        "AUTOMETTE_OWNERS": json.dumps(owners),
    }
    ended = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == 0
