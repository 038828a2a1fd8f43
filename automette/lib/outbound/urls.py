"""Reading a URL once: what is checked here is the object that the client dials, so no second reader can differ."""

import re
from ipaddress import ip_address
from typing import Final

from django.conf import settings
from yarl import URL

from automette.lib.outbound.errors import OutboundError

_LONGEST: Final = 4096
_NEVER_IN_A_URL: Final = re.compile(r"[\x00-\x20\x7f\\]")
_NAME: Final = re.compile(r"(?=.{1,254}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
# Such a last label makes `getaddrinfo` read the name as an address: 127.1, 2130706433, 0x7f.1, 0177.0.0.1
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_url(text: str) -> URL:
    """Return the URL, with its path and query byte for byte if they are ASCII (they may be signed); no fragment.

    Raises OutboundError (`refused_url`) for everything but http(s) to a plain host, and for http where the operator
    does not allow it (OUTBOUND_ALLOW_HTTP). Whether the host may be dialled is judged later, by its addresses.
    """
    if len(text) > _LONGEST:
        raise _refused(f"The URL is longer than {_LONGEST} characters.")
    if _NEVER_IN_A_URL.search(text):
        raise _refused("The URL contains a space, a backslash or a control character.")
    try:
        url = URL(text)
        port = url.explicit_port
        written = URL(text, encoded=True) if text.isascii() else url
    except ValueError as error:
        raise _refused("The URL cannot be read.") from error
    if url.scheme not in {"https", "http"}:
        raise _refused("The URL must start with https://.")
    if url.scheme == "http" and not settings.OUTBOUND_ALLOW_HTTP:
        raise _refused("The URL must start with https://; http is not allowed here.")
    if url.user is not None or url.password is not None:
        raise _refused("The URL contains a user name or password.")
    host = _checked_host(url.raw_host or "") + ("" if port is None else f":{port}")
    query = f"?{written.raw_query_string}" if written.raw_query_string else ""
    return URL(f"{url.scheme}://{host}{written.raw_path}{query}", encoded=True)


def _checked_host(host: str) -> str:
    """Return the host as a URL has it, IPv6 in brackets."""
    if ":" in host and "%" not in host and _is_address(host):
        return f"[{host}]"
    if not _NAME.fullmatch(host):
        raise _refused("The URL has no valid host.")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) and not _is_address(host):
        raise _refused("The URL's host is neither a name nor an IPv4 address of four decimal numbers.")
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refused(message: str) -> OutboundError:
    return OutboundError("refused_url", message)
