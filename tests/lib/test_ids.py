import re

import time_machine

from automette.lib.ids import new_id


def test_id_has_its_documented_shape():
    assert all(re.fullmatch(r"c[0-9a-z]{24}", new_id()) for _ in range(100))


def test_ids_do_not_repeat():
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_later_ids_sort_higher():
    ids = []
    with time_machine.travel("2026-04-22T12:00:00Z", tick=False) as clock:  # the machine's own may be set back
        for _ in range(5):
            ids.append(new_id())
            clock.shift(0.002)
    assert ids == sorted(ids)


def test_order_holds_for_decades():
    years = (2026, 2030, 2040, 2050, 2058)
    ids = []
    for year in years:
        with time_machine.travel(f"{year}-12-31T23:59:59Z", tick=False):
            ids.append(new_id())
    assert ids == sorted(ids)


def test_sixteen_digits_cannot_be_guessed():
    """82 bits: over many ids of one moment, every digit takes every value."""
    with time_machine.travel("2026-01-01", tick=False):
        tails = [new_id()[9:] for _ in range(3000)]
    assert {len(tail) for tail in tails} == {16}
    assert [len({tail[place] for tail in tails}) for place in range(16)] == [36] * 16
