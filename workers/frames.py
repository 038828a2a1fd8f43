"""Messages between the pool and its children: two lengths, a JSON head and a body of bytes, all of it bounded.

The far end may be hostile, so a length is checked before anything is read or reserved, and the whole exchange has
one deadline.
"""

import json
import socket
import struct
import time
from typing import Any

MAX_HEAD_BYTES = 1 << 20
_SENT_AT_ONCE_BYTES = 1 << 17
_LENGTHS = struct.Struct("!II")


class BrokenFrameError(Exception):
    """The far end closed, or sent what is not a message."""


def send_frame(
    channel: socket.socket, head: dict[str, Any], body: bytes = b"", *, deadline: float | None = None
) -> None:
    """Send one message. `deadline` is in `time.monotonic()` seconds; raises TimeoutError past it."""
    encoded = json.dumps(head).encode()
    start = _LENGTHS.pack(len(encoded), len(body)) + encoded
    if len(body) <= _SENT_AT_ONCE_BYTES:  # one call wakes the far end once
        start, body = start + body, b""
    for part in (start, body):
        if part:
            channel.settimeout(_remaining(deadline))
            channel.sendall(part)


def receive_frame(
    channel: socket.socket, *, max_body: int, deadline: float | None = None
) -> tuple[dict[str, Any], bytes]:
    """Receive one message. Raises TimeoutError past the deadline and BrokenFrameError on anything odd."""
    head_length, body_length = _LENGTHS.unpack(_exactly(channel, _LENGTHS.size, deadline))
    if head_length > MAX_HEAD_BYTES or body_length > max_body:
        raise BrokenFrameError(f"a message of {head_length} + {body_length} bytes is longer than allowed")
    try:
        head = json.loads(_exactly(channel, head_length, deadline))
    except (ValueError, RecursionError) as error:
        raise BrokenFrameError("the head of a message is not JSON") from error
    if not isinstance(head, dict):
        raise BrokenFrameError("the head of a message is not an object")
    return head, bytes(_exactly(channel, body_length, deadline))


def _exactly(channel: socket.socket, length: int, deadline: float | None) -> bytearray:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        channel.settimeout(_remaining(deadline))
        count = channel.recv_into(view)
        if count == 0:
            raise BrokenFrameError("the far end closed the connection")
        view = view[count:]
    return buffer


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("the deadline has passed")
    return remaining
