"""What the demo team has for the documentation's examples to work on, so that they delete nothing of value."""

import hashlib
from pathlib import Path
from typing import Final

import rendercv_fonts

from accounts.models import Team
from ondemand.models import UrlBase
from ondemand.services import replace_url_base
from templates_app import blobs
from templates_app.assets import save_asset
from templates_app.models import Engine, Font
from templates_app.openapi_examples import SOURCE
from templates_app.services import create_template
from webhooks.models import EventName
from webhooks.redelivery import send_test
from webhooks.services import create_subscription, live_subscriptions

NAME: Final = "Greeting"
_RECEIVER: Final = "https://127.0.0.1/webhooks"
_LOGO: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    '<circle cx="32" cy="32" r="30" fill="#0b6e4f"/></svg>\n'
)
_FONT: Final = Path(rendercv_fonts.__file__).parent / "Lato" / "Lato-Regular.ttf"


def make_playground(*, team: Team, actor: str) -> None:
    """Make a template with URL base, an asset, a font and a subscription where the team has none; needs no worker."""
    template = team.templates.live().filter(name=NAME).order_by("id").last() or create_template(
        team=team, actor=actor, name=NAME, engine=Engine.TYPST, source=SOURCE
    )
    if not UrlBase.objects.filter(template=template).exists():
        replace_url_base(team=team, actor=actor, template_id=template.id)
    if not live_subscriptions(team=team).exists():
        _subscribe(team, actor)
    if not team.assets.exists():
        save_asset(team=team, actor=actor, name="images/logo.svg", content=_LOGO.encode())
    if not team.fonts.exists():
        content = _FONT.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        blobs.put(team.id, content)
        face = {"family": "Lato", "style": "normal", "weight": 400}
        words = {"filename": _FONT.name, "families": ["Lato"], "faces": [face], "size_bytes": len(content)}
        Font.objects.get_or_create(team=team, sha256=sha256, defaults=words)


def _subscribe(team: Team, actor: str) -> None:
    """Subscribe to what never happens here, and send a test. The address is refused: nothing leaves this machine."""
    subscription, _ = create_subscription(team=team, actor=actor, url=_RECEIVER, events=[EventName.FORM_SUBMITTED])
    send_test(team=team, actor=actor, subscription_id=subscription.id)
