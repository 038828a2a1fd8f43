import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.services import next_reset


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-15T10:30:00", "2026-02-15T10:30:00"),
        ("2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("2026-01-31T23:59:59", "2026-02-28T23:59:59"),
        ("2028-01-30T00:00:00", "2028-02-28T00:00:00"),
    ],
)
def test_reset_is_a_month_later(moment, expected):
    assert next_reset(dt.datetime.fromisoformat(moment)).isoformat() == expected


LAST = dt.datetime(9000, 1, 1)  # noqa: DTZ001 (hypothesis adds the zone)


@given(st.datetimes(timezones=st.just(dt.UTC), max_value=LAST))
def test_reset_is_always_about_a_month_later(moment):
    days = (next_reset(moment) - moment).days
    assert 28 - 3 <= days <= 31
