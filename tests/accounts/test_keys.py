import string

from hypothesis import given
from hypothesis import strategies as st

from accounts import keys

KNOWN = "dg_" + "0" * 43


def test_key_has_its_documented_form():
    key = keys.new_key()
    assert (len(key), key[:3], keys.is_well_formed(key)) == (52, "dg_", True)
    assert set(key[3:]) <= set(string.ascii_letters + string.digits)


def test_keys_do_not_repeat():
    assert len({keys.new_key() for _ in range(1000)}) == 1000


def test_digest_is_sha256_in_hex():
    assert keys.digest("dg_x") == "599e7df2fb3010dfbc26e34452e9cdd0822b8f112befa6dae1f6501610f72dce"


@given(place=st.integers(3, 51), letter=st.sampled_from(keys.ALPHABET))
def test_every_typing_error_is_found(place, letter):
    key = keys.new_key()
    changed = key[:place] + letter + key[place + 1 :]
    assert keys.is_well_formed(changed) == (changed == key)


@given(place=st.integers(3, 50))
def test_two_swapped_letters_are_found(place):
    key = keys.new_key()
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert keys.is_well_formed(swapped) == (swapped == key)


@given(st.text())
def test_other_text_is_no_key(text):
    assert not keys.is_well_formed(text)


@given(st.sampled_from(["{}\n", " {}", "{} ", "{}0", "x{}", "{}\x00"]))
def test_nothing_may_stand_around_a_key(around):
    assert not keys.is_well_formed(around.format(keys.new_key()))


def test_checksum_is_the_same_for_ever():
    """Keys in the hands of callers must stay good, whatever is changed here."""
    assert keys.is_well_formed(KNOWN + keys._checksum(KNOWN))
    assert keys._checksum(KNOWN) == "0iVsR8"
