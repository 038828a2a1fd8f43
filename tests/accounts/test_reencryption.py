"""`reencrypt_secrets`: after it, the key before is not needed any more."""

import base64
import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from automette.lib.encryption import decrypt, encrypt, read_keys
from ondemand.models import UrlBase
from tests.webhooks.deliveries import subscribe
from webhooks.models import Subscription

OLD, NEW = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))


@pytest.fixture(autouse=True)
def _alone(database):
    """The secrets of other tests are away meanwhile."""
    erased = {"enabled": False, "secret": "", "previous_secret": "", "deleted_at": "2026-01-01T00:00:00Z"}
    with transaction.atomic():
        Subscription.objects.filter(deleted_at=None).update(**erased)
        UrlBase.objects.all().delete()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def keys(settings):
    def use(*pairs):
        settings.ENCRYPTION_KEYS = read_keys(pairs)

    return use


def reencrypt():
    out = io.StringIO()
    call_command("reencrypt_secrets", json=True, stdout=out)
    return json.loads(out.getvalue())["reencrypted"]


def secrets_of(row):
    row = Subscription.objects.get(pk=row.pk)
    return row.secret, row.previous_secret


def test_everything_is_readable_with_the_newest_key_alone(api, keys):
    keys(f"old:{OLD}")
    one, two = subscribe(api, secret="wh_one"), subscribe(api, secret="wh_two")
    Subscription.objects.filter(pk=two.pk).update(previous_secret=encrypt("wh_before", two.id))
    deleted = subscribe(api)
    api.send("DELETE", f"/api/v1/webhooks/{deleted.id}")
    keys(f"new:{NEW}", f"old:{OLD}")
    three = subscribe(api, secret="wh_three")
    untouched = secrets_of(three)
    assert reencrypt() == 2
    keys(f"new:{NEW}")
    assert decrypt(secrets_of(one)[0], one.id) == "wh_one"
    assert [decrypt(each, two.id) for each in secrets_of(two)] == ["wh_two", "wh_before"]
    assert secrets_of(three) == untouched
    assert secrets_of(deleted) == ("", "")
    assert (reencrypt(), secrets_of(three)) == (0, untouched)


def test_what_the_derived_key_encrypted_gets_the_first_of_the_list(api, keys):
    one = subscribe(api, secret="wh_one")
    keys(f"new:{NEW}")
    assert reencrypt() == 1
    assert secrets_of(one)[0].startswith("new:")


def test_without_the_key_it_stops_with_a_sentence_and_loses_nothing(api, keys):
    keys(f"old:{OLD}")
    one = subscribe(api)
    before = secrets_of(one)
    keys(f"new:{NEW}")
    with pytest.raises(CommandError, match=r"'old' is not known here. Put it back into ENCRYPTION_KEYS"):
        reencrypt()
    assert secrets_of(one) == before
    keys(f"new:{NEW}", f"old:{OLD}")
    assert reencrypt() == 1


def test_keys_of_signed_urls_are_encrypted_anew_as_well(api, keys):
    base = UrlBase(team=api.team, template_id=api.template(), token="A" * 16)
    base.signing_key = encrypt("key", base.id)
    base.save(force_insert=True)
    keys(f"new:{NEW}")
    assert reencrypt() == 1
    base.refresh_from_db()
    assert (base.signing_key[:4], decrypt(base.signing_key, base.id)) == ("new:", "key")
