import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def _patience(database):
    """Let threads wait for one of the process's few connections, also while the machine stands still.

    After three seconds they would be answered 503, which is right for a server, and is not what is tested here.
    """
    before, connection.pool.timeout = connection.pool.timeout, 100
    yield
    connection.pool.timeout = before
