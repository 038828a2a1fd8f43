"""When a team's months begin: on its own anchor day, at the time of day of its anchor, in UTC."""

import calendar
import datetime as dt

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from credits.models import CreditAccount
from tests.credits.periods import period_start

pytestmark = pytest.mark.usefixtures("database")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("anchor", "moment", "starts", "ends"),
    [
        ("2026-01-15T10:30", "2026-01-15T10:30", "2026-01-15T10:30", "2026-02-15T10:30"),
        ("2026-01-15T10:30", "2026-03-15T10:29", "2026-02-15T10:30", "2026-03-15T10:30"),
        ("2026-01-15T10:30", "2026-03-15T10:30", "2026-03-15T10:30", "2026-04-15T10:30"),
        ("2026-12-01T00:00", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("2026-01-31T23:59", "2026-02-01T00:00", "2026-01-31T23:59", "2026-02-28T23:59"),
        ("2026-01-31T23:59", "2026-03-01T00:00", "2026-02-28T23:59", "2026-03-31T23:59"),
        ("2026-01-31T23:59", "2026-04-30T23:58", "2026-03-31T23:59", "2026-04-30T23:59"),
        ("2028-01-30T00:00", "2028-02-29T12:00", "2028-02-29T00:00", "2028-03-30T00:00"),
        ("2024-02-29T08:00", "2027-02-28T08:00", "2027-02-28T08:00", "2027-03-29T08:00"),
        ("2020-05-31T06:00", "2026-11-21T11:00", "2026-10-31T06:00", "2026-11-30T06:00"),
    ],
)
def test_period_around_a_moment(anchor, moment, starts, ends):
    assert period_start(at(anchor), at(moment)) == at(starts)
    assert period_start(at(anchor), at(moment), 1) == at(ends)


MOMENTS = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001


@given(MOMENTS, MOMENTS)
def test_periods_adjoin_and_begin_on_the_anchor_day_or_the_months_last(anchor, moment):
    start, end = period_start(anchor, moment), period_start(anchor, moment, 1)
    assert start <= moment < end
    assert (period_start(anchor, end), period_start(anchor, start)) == (end, start)
    for edge in (start, end):
        last = calendar.monthrange(edge.year, edge.month)[1]
        assert (edge.day, edge.time()) == (min(anchor.day, last), anchor.time())


def test_periods_do_not_depend_on_the_connections_time_zone():
    """2 o'clock in UTC on the 31st is the 30th in New York, which would be another anchor day."""
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'America/New_York'")
        try:
            cursor.execute(
                "SELECT credits_period_start('2026-01-31T02:00Z', '2026-03-01T00:00Z', 0) = '2026-02-28T02:00Z',"
                " credits_period_start('2026-01-31T02:00Z', '2026-03-01T00:00Z', 1) = '2026-03-31T02:00Z'"
            )
            assert cursor.fetchone() == (True, True)
        finally:
            cursor.execute("SET TimeZone = 'UTC'")


def test_first_period_of_an_account_begins_when_it_is_opened(api):
    account = CreditAccount.objects.get(team=api.team)
    assert account.period_started_at == account.anchored_at
    assert account.resets_at == period_start(account.anchored_at, account.anchored_at, 1)
    assert dt.timedelta(days=28) <= account.resets_at - account.anchored_at <= dt.timedelta(days=31)
