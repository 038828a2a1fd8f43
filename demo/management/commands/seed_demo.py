import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from accounts import keys
from accounts.models import ApiKey, Team
from accounts.services import create_api_key, create_team
from automette.lib.commands import JsonCommand
from credits.services import open_account
from demo.playground import make_playground
from templates_app.models import WORD_FILE, Template
from templates_app.services import (
    add_trusted_docx_version,
    add_version,
    create_template,
    create_trusted_docx_template,
)
from templates_app.sources import READY_ENGINES, source_text
from templates_app.starters import Starter, load_starters

_TEAM = "Demo"
_OPERATOR = "operator"
_ACTOR = "seed_demo"
_CREDITS = 100_000


class Command(JsonCommand):
    help = "Create the demo team, its key, the operator's login and the starter templates; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        settings.AUTOMETTE_DATA.mkdir(parents=True, exist_ok=True)
        with transaction.atomic():
            team = _team()
            key = _key(team, settings.AUTOMETTE_DATA / "api-key")
            password = _operator(settings.AUTOMETTE_DATA / "operator-password")
        # Files go to the store, so this is no part of the transaction; a repeat goes on where this one ended.
        templates = [(starter, _template(team, starter)) for starter in load_starters(engines=READY_ENGINES)]
        make_playground(team=team, actor=_ACTOR)
        values = {
            "team": {"id": team.id, "name": team.name},
            "api_key": key,
            "operator": {"username": _OPERATOR, "password": password},
            "templates": [
                {
                    "id": template.id,
                    "name": template.name,
                    "slug": starter.slug,
                    "engine": starter.engine,
                    "data": starter.data,
                }
                for starter, template in templates
            ],
        }
        self.answer(options, values, f"Team {team.name} has {len(templates)} templates; its key is {key}.")


def _team() -> Team:
    team = Team.objects.filter(name=_TEAM).order_by("id").first()
    if team is None:
        team = create_team(name=_TEAM, actor=_ACTOR)
        open_account(team=team, monthly_credits=_CREDITS, actor=_ACTOR)
    return team


def _template(team: Team, starter: Starter) -> Template:
    """Return the team's copy of a starter; a changed starter becomes a new version of it."""
    known = team.templates.live().select_related("current_version")
    template = known.filter(name=starter.name).order_by("id").first()
    if isinstance(starter.source, bytes):
        return _word_template(team, template, starter, starter.source)
    if template is None:
        return create_template(
            team=team, actor=_ACTOR, name=starter.name, engine=starter.engine, source=starter.source
        )
    text = source_text(starter.engine, starter.source)
    if template.current_version is None or template.current_version.source != text:
        add_version(template=template, text=text)
    return template


def _word_template(team: Team, template: Template | None, starter: Starter, content: bytes) -> Template:
    fields = [dict(field) for field in starter.fields]
    if template is None:
        return create_trusted_docx_template(
            team=team, actor=_ACTOR, name=starter.name, content=content, fields=fields
        )
    version, files = template.current_version, {WORD_FILE: hashlib.sha256(content).hexdigest()}
    if version is None or (version.files, version.fields) != (files, fields):
        add_trusted_docx_version(template=template, content=content, fields=fields)
    return template


def _key(team: Team, path: Path) -> str:
    """Return the key in the file while it is the team's and valid, else put a new one there."""
    if path.exists():
        key = path.read_text().strip()
        if ApiKey.objects.filter(team=team, digest=keys.digest(key), revoked_at=None, expires_at=None).exists():
            return key
    _, key = create_api_key(team=team, name="demo", actor=_ACTOR)
    _write_secret(path, key)
    return key


def _operator(path: Path) -> str:
    """Return the operator's password; make the login, or a new password when the file is gone."""
    users = get_user_model()
    user = users.objects.filter(username=_OPERATOR).first()
    if user is not None and path.exists():
        return path.read_text().strip()
    password = secrets.token_urlsafe(12)
    if user is None:
        users.objects.create_superuser(_OPERATOR, email="", password=password)
    else:
        user.set_password(password)
        user.save()
    _write_secret(path, password)
    return password


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
