import json

import pytest
from django.core.management import CommandError, call_command

from accounts import keys
from accounts.models import ApiKey, AuditEntry


@pytest.fixture
def run(capsys, database):
    def command(*words) -> str:
        call_command("create_api_key", *words)
        return capsys.readouterr().out

    return command


def test_key_is_printed_and_works(run, api):
    made = json.loads(run(api.team.id, "--name", "ci", "--json"))
    row = ApiKey.objects.get(pk=made["id"])
    assert (made["team"], row.team_id, row.name) == (api.team.id, api.team.id, "ci")
    assert keys.is_well_formed(made["key"])
    api.key = made["key"]
    assert api.get("/api/v1/credits").status_code == 200


def test_without_json_a_sentence_with_the_key_is_printed(run, api):
    said = run(api.team.id)
    assert said.startswith("The key, shown only now: dg_")
    assert keys.is_well_formed(said.rpartition(" ")[2].strip())


def test_key_is_shown_once_and_only_its_digest_is_kept(run, api):
    made = json.loads(run(api.team.id, "--json"))
    row = ApiKey.objects.filter(pk=made["id"]).values().get()
    assert row["digest"] == keys.digest(made["key"])
    audited = AuditEntry.objects.filter(subject=made["id"]).values().get()
    for kept in (*row.values(), *audited.values()):
        assert made["key"][7:-4] not in str(kept)


def test_unknown_team_is_refused(run):
    before = ApiKey.objects.count()
    with pytest.raises(CommandError, match="There is no such team: nobody"):
        run("nobody")
    assert ApiKey.objects.count() == before
