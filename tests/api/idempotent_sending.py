"""Requests of every kind with an Idempotency-Key; each makes its body anew, so only the key tells a repeat."""

from django.db import connection
from urllib3.filepost import encode_multipart_formdata

from tests.api.asset_calls import picture
from tests.api.uploading import DOCX_TYPE
from tests.docx.word_files import word_file
from tests.hostile.fonts import named

RENDERS, TEMPLATES, ASSETS, FONTS = "/api/v1/renders", "/api/v1/templates", "/api/v1/assets", "/api/v1/fonts"
WEBHOOKS = "/api/v1/webhooks"
KEY = "a-key-of-the-test"
LETTER = word_file("Dear {{ name }}")
FAMILY = "Kilimanjaro Test"
FONT = named(FAMILY, "Regular", FAMILY, "KilimanjaroTest-Regular", FAMILY)
TEMPLATE = {"name": "Hello", "engine": "typst", "source": "Hi"}


def post(api, path, body, key=KEY):
    return api.post(path, body, {"Idempotency-Key": key})


def form(api, path, key=KEY, **parts):
    body, content_type = encode_multipart_formdata(parts)
    return api.send("POST", path, body, content_type, {"Idempotency-Key": key})


def is_replay(answer) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def let_expire(api, hours=24, seconds=1):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_idempotentrequest SET created_at = now() - make_interval(hours => %s, secs => %s) "
            "WHERE team_id = %s",
            [hours, seconds, api.team.id],
        )


def send_render(api, key=KEY, **more):
    template_id = api.team.templates.order_by("id").values_list("id", flat=True).first() or api.template()
    return post(api, RENDERS, {"template_id": template_id, **more}, key)


def send_template(api, key=KEY, **more):
    return post(api, TEMPLATES, {**TEMPLATE, **more}, key)


def send_word(api, key=KEY, name="Letter", **more):
    file = ("letter.docx", LETTER, DOCX_TYPE)
    return form(api, TEMPLATES, key, **{"name": name, "engine": "docx", "file": file, **more})


def send_asset(api, key=KEY, name="logo.png", content=None):
    return form(api, ASSETS, key, name=name, file=("x.png", content or picture(), "image/png"))


def send_font(api, key=KEY, name="zanzibar.ttf"):
    return form(api, FONTS, key, file=(name, FONT, "font/ttf"))


def send_webhook(api, key=KEY, **more):
    return post(api, WEBHOOKS, {"url": "https://127.0.0.1:1", "events": ["render.failed"], **more}, key)


# how to send it, the status, what makes it another request, and where it is counted
SENDERS = {
    "render": (send_render, 202, {"data": {"a": 1}}, lambda api: api.team.renders),
    "template": (send_template, 201, {"source": "Ho"}, lambda api: api.team.templates),
    "word template": (send_word, 201, {"name": "Another"}, lambda api: api.team.templates),
    "asset": (send_asset, 201, {"content": picture("blue")}, lambda api: api.team.assets),
    "webhook": (send_webhook, 201, {"url": "https://127.0.0.1:2"}, lambda api: api.team.webhook_subscriptions),
    "font": (send_font, 201, {"name": "another.ttf"}, lambda api: api.team.fonts),
}
