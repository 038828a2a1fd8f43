"""Celery's consumer with a shorter patience: it looks for a lost broker every second.

Celery's own pauses grow by two seconds up to half a minute, so after a longer outage of Redis the workers would come
back that much later than Redis itself.
"""

from typing import Final

import structlog
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 1


class Consumer(CeleryConsumer):
    """The consumer that the setting `worker_consumer` names."""

    def ensure_connected(self, conn: Connection) -> Connection:
        """Return the connection once it is established; wait for the broker as long as it takes."""

        def report(error: Exception, _interval: float) -> None:
            log.error("broker_away", error=str(error))

        self.first_connection_attempt = False
        return conn.ensure_connection(
            report,
            interval_start=_EVERY_SECONDS,
            interval_step=0,
            interval_max=_EVERY_SECONDS,
            callback=maybe_shutdown,
        )
