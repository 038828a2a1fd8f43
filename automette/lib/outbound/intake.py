"""Counting what a server sends, framing and all.

The limit of the body does not see a server that never begins one: interim answers (1xx), chunk extensions and empty
lines without end would occupy the event loop, and everybody who shares it, up to the deadline.
"""

import asyncio
from contextvars import ContextVar
from typing import Final, Self

import aiohttp
from aiohttp.connector import Connection

_OVERHEAD: Final = 512 * 1024  # headers, and what the socket gives at once (256 kB) after the body is complete


class Intake:
    """How much one request may still receive."""

    def __init__(self, body_bytes: int) -> None:
        self._left = _OVERHEAD + 2 * body_bytes

    @property
    def exceeded(self) -> bool:
        return self._left < 0

    def count(self, size: int) -> None:
        self._left -= size


intake: Final[ContextVar[Intake]] = ContextVar("intake")


class CountedResponse(aiohttp.ClientResponse):
    """An answer whose bytes are counted by the `intake` of the task that asked for it."""

    async def start(self, connection: Connection) -> Self:
        transport, protocol = connection.transport, connection.protocol
        if isinstance(transport, asyncio.Transport) and protocol is not None:
            transport.set_protocol(_Counting(transport, protocol, intake.get()))
        await super().start(connection)
        return self


class _Counting(asyncio.Protocol):
    """Stands before aiohttp's protocol and drops the connection when too much has come."""

    def __init__(self, transport: asyncio.Transport, protocol: asyncio.Protocol, counter: Intake) -> None:
        self._transport = transport
        self._protocol = protocol
        self._counter = counter

    def data_received(self, data: bytes) -> None:
        self._counter.count(len(data))
        if self._counter.exceeded:
            self._transport.abort()
        else:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
