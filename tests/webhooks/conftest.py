"""No test here fails because the machine stands still for some seconds: what is not tested may take a minute."""

import pytest
from django.db import connection

from tests.renders.faults import own_database
from webhooks import delivery, schedule

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def own_rows(database):
    """A database that no running sweeper looks at, and in which nothing is but what the tests of a module make."""
    with own_database():
        yield


@pytest.fixture(autouse=True)
def _patience(database, monkeypatch):
    """Of this process only. Whoever tests one of these limits sets it anew."""
    monkeypatch.setattr(connection.pool, "timeout", PATIENCE_SECONDS)  # many threads share few connections
    monkeypatch.setattr(delivery, "_STALE_AFTER", PATIENCE_SECONDS)
    slowly = [100 * seconds for seconds in schedule.DELAYS]  # what has failed does not become due again by itself
    monkeypatch.setattr(schedule, "DELAYS", slowly)
