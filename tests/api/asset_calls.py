"""Uploading assets in tests."""

import io

from django.test.client import encode_multipart
from PIL import Image

from templates_app.models import Asset

BOUNDARY = "----test"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
PATH = "/api/v1/assets"


class Sent(io.BytesIO):
    """A file to send, with a name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def picture(color="red", size=(40, 20)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, color).save(target, "PNG")
    return target.getvalue()


def send(api, content: bytes = b"a,b\n1,2\n", filename="rows.csv", **fields):
    return api.send("POST", PATH, encode_multipart(BOUNDARY, {**fields, "file": Sent(content, filename)}), FORM)


def upload(api, content: bytes = b"a,b\n1,2\n", filename="rows.csv", **fields) -> dict:
    answer = send(api, content, filename, **fields)
    assert answer.status_code in {200, 201}, answer.content
    return answer.json()


class NoAssetChanges:
    """A context at whose end the teams have the same assets as before."""

    def __init__(self, *apis) -> None:
        self.teams = [api.team.id for api in apis]

    def rows(self):
        return list(Asset.objects.filter(team__in=self.teams).order_by("id").values())

    def __enter__(self):
        self.before = self.rows()

    def __exit__(self, *failure):
        assert failure != (None, None, None) or self.rows() == self.before


END = f"--{BOUNDARY}--\r\n"
FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n'


def raw(api, body: str | bytes, content_type=FORM):
    return api.send("POST", PATH, body.encode() if isinstance(body, str) else body, content_type)


def part(name: str, value: str, more: str = "") -> str:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n{more}\r\n{value}\r\n'
