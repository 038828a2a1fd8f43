"""What the database itself refuses about teams, projects and members."""

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from accounts.models import ApiKey, Membership, Project, Team
from accounts.services import create_team
from automette.lib.errors import InvalidValueError


@pytest.fixture
def refused(database):
    def save(row, constraint: str) -> None:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            row.save(force_insert=True)

    return save


def test_team_without_a_name_is_refused(refused):
    refused(Team(name=""), "team_has_name")


def test_team_has_one_default_project(api, refused):
    refused(Project(team=api.team, name="Second", is_default=True), "project_one_default_per_team")
    Project.objects.create(team=api.team, name="Second")


def test_member_is_in_a_team_once_and_in_a_known_role(api, refused):
    user = get_user_model().objects.create_user(f"member-{api.team.id}")
    Membership.objects.create(user=user, team=api.team)
    refused(Membership(user=user, team=api.team), "membership_once_per_team")
    refused(Membership(user=user, team=create_team(name="B", actor="test"), role="king"), "membership_role_known")


def test_digest_of_a_key_is_there_once(api, refused):
    refused(ApiKey(team=api.team, digest=api.team.api_keys.get().digest, hint="x"), "digest")


@pytest.mark.parametrize("name", ["", " \n", "x" * 201])
def test_service_refuses_an_impossible_name_with_a_sentence(database, name):
    before = Team.objects.count()
    with pytest.raises(InvalidValueError, match=r"A team's name has 1 to 200 characters\."):
        create_team(name=name, actor="test")
    assert Team.objects.count() == before
