"""What the demo team has for the documentation's examples to work on, so that they delete nothing of value."""

import hashlib
from pathlib import Path
from typing import Final

import rendercv_fonts

from accounts.models import Team
from templates_app import blobs
from templates_app.assets import save_asset
from templates_app.models import Engine, Font
from templates_app.services import create_template

NAME: Final = "Greeting"
SOURCE: Final = '#set page(paper: "a5")\n= Hello #data.at("name", default: "World")!\n'
_LOGO: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    '<circle cx="32" cy="32" r="30" fill="#0b6e4f"/></svg>\n'
)
_FONT: Final = Path(rendercv_fonts.__file__).parent / "Lato" / "Lato-Regular.ttf"


def make_playground(*, team: Team, actor: str) -> None:
    """Make a template, an asset and a font where the team has none of them; needs no worker."""
    if not team.templates.live().filter(name=NAME).exists():
        create_template(team=team, actor=actor, name=NAME, engine=Engine.TYPST, source=SOURCE)
    if not team.assets.exists():
        save_asset(team=team, actor=actor, name="images/logo.svg", content=_LOGO.encode())
    if not team.fonts.exists():
        content = _FONT.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        blobs.put(team.id, content)
        face = {"family": "Lato", "style": "normal", "weight": 400}
        words = {"filename": _FONT.name, "families": ["Lato"], "faces": [face], "size_bytes": len(content)}
        Font.objects.get_or_create(team=team, sha256=sha256, defaults=words)
