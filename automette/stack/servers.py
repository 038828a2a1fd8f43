"""Which of the three servers are missing, and running them around a command."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from automette.stack.data_directory import default_path, open_data_directory, running_servers
from automette.stack.errors import StackError
from automette.stack.keeper import Keeper, Service
from automette.stack.object_store import ObjectStore
from automette.stack.postgres import PostgresServer
from automette.stack.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from automette.stack.children import Wait
    from automette.stack.data_directory import DataDirectory

Server = PostgresServer | RedisServer | ObjectStore

REPLACED_BY: dict[type[Server], tuple[str, ...]] = {
    PostgresServer: ("DATABASE_URL",),
    RedisServer: ("REDIS_URL",),
    ObjectStore: ("S3_ENDPOINT_URL", "S3_BUCKET"),  # Amazon's own S3 needs no endpoint
}


def missing_servers(variables: Mapping[str, str]) -> list[type[Server]]:
    """The servers that no variable names."""
    return [kind for kind, names in REPLACED_BY.items() if not any(variables.get(name) for name in names)]


@contextlib.contextmanager
def servers(
    data: DataDirectory,
    *,
    wait: Wait,
    report: Callable[[str], None],
    on_ready: Callable[[Service, float], None],
) -> Iterator[tuple[Keeper, dict[str, str]]]:
    """Run the missing servers; gives their keeper and the variables that lead to them and to their data."""
    running = [kind(data) for kind in missing_servers(os.environ)]
    keeper = Keeper(running, report)
    try:
        keeper.start(wait, on_ready)
        variables = {name: value for server in running for name, value in server.environment().items()}
        variables["AUTOMETTE_DATA"] = str(data.path)
        if not os.environ.get("SECRET_KEY"):
            variables["SECRET_KEY"] = data.secrets.secret_key
        yield keeper, variables
    finally:
        data.withdraw()
        keeper.stop()


@contextlib.contextmanager
def environment() -> Iterator[None]:
    """Give the code inside the three servers by way of `os.environ`.

    Nothing happens where DATABASE_URL, REDIS_URL and S3_* name them all. Else the servers that `make run` has
    started in another terminal are used, else the missing ones run for as long as the context lasts. Main
    thread only. Raises StackError with a sentence for the person at the terminal.
    """
    missing = missing_servers(os.environ)
    if not missing:
        yield
        return
    path = default_path()
    shared = running_servers(path, wait=time.sleep)
    with contextlib.ExitStack() as stack:
        if shared is None:
            data = stack.enter_context(open_data_directory(path, wait=time.sleep))
            _, shared = stack.enter_context(
                servers(data, wait=time.sleep, report=lambda _: None, on_ready=lambda *_: None)
            )
        for kind in missing:
            if not any(name in shared for name in REPLACED_BY[kind]):
                names = " and ".join(REPLACED_BY[kind])
                raise StackError(
                    f"The stack at work in {path} was started with {names} of its own; set the same here."
                )
        before = dict(os.environ)
        os.environ.update({name: value for name, value in shared.items() if not before.get(name)})
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
