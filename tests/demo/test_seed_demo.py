"""`manage.py seed_demo` makes every starter, without any worker, and a repeat changes nothing."""

import json

import pytest
from django.core.management import call_command

from accounts.models import Team
from demo.playground import make_playground
from templates_app import blobs
from templates_app.models import Template, TemplateVersion
from templates_app.starters import load_starters

ENGINES = ("typst", "canvas", "docx")


@pytest.fixture
def seed(database, settings, tmp_path, capsys):
    settings.AUTOMETTE_DATA = tmp_path

    def run() -> dict:
        call_command("seed_demo", json=True)
        return json.loads(capsys.readouterr().out)

    return run


def test_every_starter_becomes_a_template(seed):
    told = seed()
    starters = {starter.slug: starter for starter in load_starters(engines=ENGINES)}
    assert {each["slug"]: each["name"] for each in told["templates"]} == {
        slug: starter.name for slug, starter in starters.items()
    }
    for each in told["templates"]:
        version = Template.objects.get(pk=each["id"]).current_version
        starter = starters[each["slug"]]
        if starter.engine == "docx":
            kept = blobs.local_copy(told["team"]["id"], version.files["template.docx"]).read_bytes()
            assert (version.source, kept, version.fields) == ("", starter.source, list(starter.fields))
        else:
            assert (version.source != "", version.files) == (True, {})


def test_a_repeat_makes_nothing_and_a_changed_word_file_makes_a_version(seed):
    seed()
    team = Team.objects.get(name="Demo")
    before = set(TemplateVersion.objects.filter(template__team=team).values_list("id", flat=True))
    seed()
    assert set(TemplateVersion.objects.filter(template__team=team).values_list("id", flat=True)) == before
    quote = team.templates.get(name="Quote")
    TemplateVersion.objects.filter(template=quote).update(files={"template.docx": "0" * 64})
    known = quote.current_version.number
    seed()
    quote.refresh_from_db()
    (starter,) = (each for each in load_starters(engines=["docx"]) if each.slug == "quote")
    assert quote.current_version.number == known + 1
    assert blobs.local_copy(team.id, quote.current_version.files["template.docx"]).read_bytes() == starter.source


def test_what_the_documentation_shows_is_there_once(api):
    team = api.team
    make_playground(team=team, actor="test")
    subscription = team.webhook_subscriptions.get()
    assert (subscription.enabled, subscription.events) == (True, ["form.submitted"])
    assert [each.manual for each in subscription.deliveries.all()] == [True]
    assert (team.url_bases.get().template.name, team.assets.count(), team.fonts.count()) == ("Greeting", 1, 1)
    rows = (team.templates, team.url_bases, team.webhook_subscriptions, team.assets, team.fonts)
    make_playground(team=team, actor="test")
    assert [each.count() for each in rows] == [1] * len(rows)
    assert subscription.deliveries.count() == 1
