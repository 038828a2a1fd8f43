import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from renders import sweeping as renders
from webhooks import sweeping as deliveries

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Ring again for renders and deliveries that did not start or whose worker died. Runs until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do one round and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while True:
            for part in (renders, deliveries):
                try:
                    part.sweep()
                except (DatabaseError, RedisError) as error:
                    log.warning("sweep_failed", part=part.__name__, error=type(error).__name__)
                finally:
                    connection.close()
            if options["once"] or stop.wait(settings.SWEEP_SECONDS):
                return
