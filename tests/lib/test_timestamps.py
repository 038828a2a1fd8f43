import datetime as dt

import pytest

from automette.lib.timestamps import iso


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-04-22T12:00:00+00:00", "2026-04-22T12:00:00.000Z"),
        ("2026-04-22T12:00:00.000999+00:00", "2026-04-22T12:00:00.000Z"),
        ("2026-04-22T12:00:00.987654+00:00", "2026-04-22T12:00:00.987Z"),
        ("2026-04-22T12:00:00.5+02:00", "2026-04-22T10:00:00.500Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
        ("2028-02-29T23:59:59.999999+00:00", "2028-02-29T23:59:59.999Z"),
    ],
)
def test_utc_with_three_decimals(moment, text):
    assert iso(dt.datetime.fromisoformat(moment)) == text
