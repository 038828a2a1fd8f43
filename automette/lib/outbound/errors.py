"""Why a call got no answer, in words for the person who named the URL.

The words hold the server that this person named and nothing else: no address behind a name, and not the servers to
which it redirects, because both may be knowledge of the operator's network.
"""

from typing import Literal

Code = Literal[
    "refused_url",
    "refused_header",
    "refused_address",
    "dns",
    "connect",
    "tls",
    "timeout",
    "protocol",
    "encoded",
    "too_large",
    "too_many_redirects",
]


class OutboundError(Exception):
    """There is no answer that can be used; `code` is for programs, the message for the person who named the URL."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


class AddressRefusedError(OSError):
    """An address is not to be dialled. An OSError, because the connector treats it as one that does not answer."""
