"""Points in time as the API writes them."""

import datetime as dt


def iso(moment: dt.datetime) -> str:
    """Return `2026-04-22T12:00:00.000Z`: UTC, exactly three decimals."""
    utc = moment.astimezone(dt.UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
