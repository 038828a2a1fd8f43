"""Looking up names, and judging every address that a name has before the connector sees one.

A lookup is a call of `getaddrinfo` in a daemon thread of its own: a name server that does not answer holds a thread
for half a minute, and those of a pool would be waited for at the end of the event loop and of the process.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from automette.lib.outbound.errors import AddressRefusedError

Lookup = Callable[[str, int], Awaitable[list[str]]]
Judge = Callable[[str, int], bool]

MOST_LOOKUPS: Final = 512  # twice the calls of a webhooks process: a hanging lookup lives twice as long as its call
_running: set[threading.Thread] = set()


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name, each once, in the order of preference of this machine. Raises OSError."""
    if _count_running() >= MOST_LOOKUPS:
        raise OSError("too many lookups wait for their name servers")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def finish(addresses: list[str], error: OSError | None) -> None:
        if answer.done():  # given up meanwhile
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(addresses)

    def ask() -> None:
        addresses: list[str] = []
        failure = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            addresses = list(dict.fromkeys(_with_zone(sockaddr) for *_, sockaddr in found))
        except OSError as error:
            failure = error
        except UnicodeError as error:  # a label that IDNA does not know
            failure = OSError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, addresses, failure)

    thread = threading.Thread(target=ask, name="lookup", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # the machine has no thread left
        raise OSError(str(error)) from error
    _running.add(thread)
    return await answer


def _count_running() -> int:
    for thread in tuple(_running):  # a copy, because other event loops of this process look up names, too
        if not thread.is_alive():  # nor are those that a fork left behind
            _running.discard(thread)
    return len(_running)


def _with_zone(sockaddr: tuple[Any, ...]) -> str:
    address, zone = str(sockaddr[0]), sockaddr[3] if len(sockaddr) > 3 else 0  # noqa: PLR2004 (IPv6 has four parts)
    return f"{address}%{zone}" if zone and "%" not in address else address


class JudgingResolver(AbstractResolver):
    """Gives the connector the addresses of a name if every one of them may be dialled, else none.

    One bad address refuses the name, as whoever controls it could otherwise hope for the order of the answers.
    """

    def __init__(self, lookup: Lookup, judge: Judge) -> None:
        self._lookup = lookup
        self._judge = judge

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raise OSError for a name without addresses, AddressRefusedError for one with a bad address."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError("the name has no address")
        if not all(self._judge(address, port) for address in addresses):
            raise AddressRefusedError
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""
