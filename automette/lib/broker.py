"""Celery's Redis transport with one client per channel.

The original makes a client for each publish, receipt and acknowledgement, which takes longer than sending its
command. Clients may be shared by threads: each command borrows a connection of the pool.
"""

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that keeps its client for as long as it keeps its pool (a lost connection makes a new one)."""

    _shared: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 (kombu's signature)
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # kombu's stubs leave it out
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()  # type: ignore[misc]
        return self._shared


class Transport(redis.Transport):
    """The transport that the setting `broker_transport` names."""

    Channel = Channel
