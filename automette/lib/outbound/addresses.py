"""Which addresses may be dialled.

A table of our own, because `ipaddress.is_global` answers another question, and differently from one patch release of
Python to the next: it lets multicast, NAT64, 6to4, IPv4-compatible addresses and Azure's host (168.63.129.16) pass.
Sources: IANA's special-purpose registries for IPv4 and IPv6, and the metadata addresses of the large clouds.
"""

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from django.conf import settings

PORTS: Final = frozenset({80, 443})
_REFUSED_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; holds Alibaba's metadata server (100.100.100.200)
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",  # link-local; holds the metadata servers of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; holds Oracle's metadata server (192.0.0.192)
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All that IANA has given out. Outside: loopback, IPv4-compatible, IPv4-translated, NAT64 (64:ff9b::/96 and the local
# 64:ff9b:1::/48), discard, SRv6 (5f00::/16), unique local, link-local, site-local, multicast.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether anybody on the Internet reaches the same machine under this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


def may_dial(text: str, port: int) -> bool:
    """Return whether a connection to this address and port is allowed: public on 80 or 443, or named by the operator.

    `text` is an address as `getaddrinfo` writes it. What is no address, and what has a zone, is refused.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    if any(address in network for network in allowed_networks()):
        return True
    return port in PORTS and is_public(address)


def allowed_networks() -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of the setting OUTBOUND_ALLOW_CIDRS."""
    return _parsed(tuple(settings.OUTBOUND_ALLOW_CIDRS))


@cache
def _parsed(cidrs: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)
