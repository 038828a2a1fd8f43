import base64
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automette.lib import encryption
from automette.lib.encryption import DecryptionError, decrypt, encrypt, newest_key_id, read_keys

ROW = "ctest0000000000000000row1"
OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()


@given(text=st.text(), row_id=st.text(min_size=1, max_size=60))
def test_what_was_encrypted_can_be_read_and_does_not_show(text, row_id):
    token = encrypt(text, row_id)
    assert decrypt(token, row_id) == text
    assert token.startswith("s1:")
    assert token != encrypt(text, row_id)


def test_the_text_is_nowhere_in_what_is_kept():
    token = encrypt("wh_secret", ROW)
    sealed = base64.urlsafe_b64decode(token.partition(":")[2])
    assert b"secret" not in sealed
    assert len(sealed) == 12 + len("wh_secret") + 16


@given(data=st.data())
def test_one_changed_bit_is_noticed(data):
    token = encrypt("wh_secret", ROW)
    key_id, _, encoded = token.partition(":")
    sealed = bytearray(base64.urlsafe_b64decode(encoded))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError, match="does not fit the encryption key s1"):
        decrypt(f"{key_id}:{base64.urlsafe_b64encode(sealed).decode()}", ROW)


def test_what_belongs_to_another_row_cannot_be_read():
    token = encrypt("wh_secret", ROW)
    with pytest.raises(DecryptionError, match="belongs to another row"):
        decrypt(token, ROW.replace("row1", "row2"))
    assert decrypt(token, ROW) == "wh_secret"


@pytest.mark.parametrize(
    "token", ["s1:", "s1:AAAA", "s1:*", "s1:ü", f"s1:{'A' * 39}", f"s1:{'A' * 40}==", f"s1:{'A' * 40}\n"]
)
def test_what_is_no_token_is_refused(token):
    with pytest.raises(DecryptionError, match="not the form"):
        decrypt(token, ROW)


@pytest.mark.parametrize("token", ["", "k9:AAAA", "AAAA", ":AAAA"])
def test_an_unknown_key_is_named(token):
    with pytest.raises(DecryptionError) as refused:
        decrypt(token, ROW)
    assert str(refused.value) == (
        f"The encryption key {token.partition(':')[0]!r} is not known here. "
        "Put it back into ENCRYPTION_KEYS, after the first."
    )


def test_a_new_key_encrypts_and_the_old_ones_still_decrypt(settings):
    derived = encrypt("by SECRET_KEY", ROW)
    assert newest_key_id() == "s1"
    settings.ENCRYPTION_KEYS = read_keys([f"old:{OLD}"])
    old = encrypt("by old", ROW)
    settings.ENCRYPTION_KEYS = read_keys([f"new:{NEW}", f"old:{OLD}"])
    new = encrypt("by new", ROW)

    assert [token.partition(":")[0] for token in (derived, old, new)] == ["s1", "old", "new"]
    assert [decrypt(token, ROW) for token in (derived, old, new)] == ["by SECRET_KEY", "by old", "by new"]
    assert newest_key_id() == "new"

    settings.ENCRYPTION_KEYS = read_keys([f"new:{NEW}"])
    with pytest.raises(DecryptionError, match="'old' is not known here"):
        decrypt(old, ROW)


def test_another_secret_key_cannot_read_what_the_first_encrypted(settings):
    token = encrypt("wh_secret", ROW)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    with pytest.raises(DecryptionError, match="the key is not what it was"):
        decrypt(token, ROW)
    settings.SECRET_KEY = before
    assert decrypt(token, ROW) == "wh_secret"


def test_the_derived_key_stays_what_it_is():
    """What is in databases must be readable for as long as SECRET_KEY is the same."""
    assert (
        encryption._derived("a secret key").hex()
        == "7349e4def23ee422c9c6a1cddabff55eb92d8367b1fa716bddc9d9b1d90dae76"
    )


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([NEW], "an id has 1 to 20 characters"),
        ([f"UPPER:{NEW}"], "an id has 1 to 20 characters"),
        ([f"{'k' * 21}:{NEW}"], "an id has 1 to 20 characters"),
        ([f"s1:{NEW}"], "the id s1 is taken"),
        ([f"a:{NEW}", f"a:{OLD}"], "the id a is taken"),
        (["a:"], "the key a is not the base64 of 32 bytes"),
        (["a:c2hvcnQ="], "the key a is not the base64 of 32 bytes"),
        ([f"a:{NEW}!"], "the key a is not the base64 of 32 bytes"),
    ],
)
def test_keys_that_cannot_be_ones_are_refused(pairs, problem):
    with pytest.raises(ValueError, match=problem):
        read_keys(pairs)


def test_keys_keep_their_order_and_may_be_spaced():
    assert list(read_keys([f" new:{NEW}", f"old:{OLD} "]).items()) == [("new", b"n" * 32), ("old", b"o" * 32)]


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("", "[]"),
        (f"new:{NEW}, old:{OLD}", "['new', 'old']"),
        (NEW, "ENCRYPTION_KEYS must read id:base64-of-32-bytes,...: an id has 1 to 20 characters"),
    ],
)
def test_a_setting_without_keys_stops_the_start_and_does_not_show_them(value, outcome):
    program = "from automette import settings; print(list(settings.ENCRYPTION_KEYS))"
    environment = {**os.environ, "ENCRYPTION_KEYS": value}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert outcome in done.stdout + done.stderr
    assert (done.returncode == 0) == outcome.startswith("[")
    assert NEW not in done.stdout + done.stderr
