"""The stack on one machine: private PostgreSQL, Redis and S3 servers, and the processes of the application.

The settings know nothing of this: they read DATABASE_URL, REDIS_URL and S3_*, here as in production.
"""

from automette.stack.errors import StackError
from automette.stack.servers import environment

__all__ = ["StackError", "environment"]
