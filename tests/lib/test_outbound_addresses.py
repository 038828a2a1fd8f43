"""Which addresses may be dialled: our table against every form that has fooled others."""

import os
import subprocess
import sys
from ipaddress import ip_address

import pytest

from automette.lib.outbound.addresses import may_dial

REFUSED = {
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "private 10": "10.0.0.1",
    "private 172": "172.31.255.255",
    "private 192": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "Alibaba's metadata": "100.100.100.200",
    "loopback": "127.0.0.1",
    "loopback, far": "127.255.255.254",
    "link-local": "169.254.0.1",
    "metadata": "169.254.169.254",
    "containers' metadata": "169.254.170.2",
    "Azure's host": "168.63.129.16",
    "protocol assignments": "192.0.0.1",
    "Oracle's metadata": "192.0.0.192",
    "documentation 1": "192.0.2.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "6to4 relay": "192.88.99.1",
    "benchmarking": "198.19.255.255",
    "multicast": "224.0.0.1",
    "multicast, site": "239.255.255.250",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "v6 unspecified": "::",
    "v6 loopback": "::1",
    "v6 mapped loopback": "::ffff:127.0.0.1",
    "v6 mapped private": "::ffff:10.0.0.1",
    "v6 mapped metadata": "::ffff:a9fe:a9fe",
    "v6 mapped Azure": "::ffff:168.63.129.16",
    "v6 compatible": "::127.0.0.1",
    "v6 compatible public": "::8.8.8.8",
    "v6 translated": "::ffff:0:127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "NAT64 of a public address": "64:ff9b::808:808",
    "NAT64 local use": "64:ff9b:1::a00:1",
    "discard": "100::1",
    "dummy prefix": "100:0:0:1::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "v6 benchmarking": "2001:2::1",
    "ORCHID": "2001:10::1",
    "ORCHIDv2": "2001:20::1",
    "v6 documentation": "2001:db8::1",
    "v6 documentation 2": "3fff::1",
    "6bone": "3ffe::1",
    "6to4": "2002:7f00:1::",
    "6to4 of a public address": "2002:808:808::1",
    "SRv6": "5f00::1",
    "unique local": "fc00::1",
    "unique local, used": "fd12:3456::1",
    "Amazon's metadata": "fd00:ec2::254",
    "Google's metadata": "fd20:ce::254",
    "v6 link-local": "fe80::1",
    "v6 link-local, zone": "fe80::1%eth0",
    "public with a zone": "2606:4700::1111%1",
    "site-local": "fec0::1",
    "v6 multicast": "ff02::1",
    "v6 multicast, global": "ff0e::1",
    "not given out": "4000::1",
    "no address": "localhost",
    "nothing": "",
    "short": "127.1",
    "decimal": "2130706433",
    "octal": "0177.0.0.1",
    "hex": "0x7f.0.0.1",
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111"]
# What `ipaddress.is_global` of every Python calls global (of some it is more): reason enough for a table.
HOLES_OF_IS_GLOBAL = ["multicast", "6to4 relay", "Azure's host", "v6 compatible", "NAT64", "site-local"]


@pytest.mark.parametrize("name", REFUSED)
def test_address_that_is_not_public_is_refused(name):
    assert not may_dial(REFUSED[name], 443)
    assert not may_dial(REFUSED[name], 80)


@pytest.mark.parametrize("address", [*PUBLIC, "::ffff:8.8.8.8", "2001:200::1", "2a00:1450:4001::1"])
def test_public_address_may_be_dialled(address):
    assert may_dial(address, 443)
    assert may_dial(address, 80)


@pytest.mark.parametrize("port", [0, 22, 25, 5432, 6379, 8000, 8080, 8443])
def test_other_ports_are_closed(port):
    assert not may_dial("8.8.8.8", port)


@pytest.mark.parametrize("name", HOLES_OF_IS_GLOBAL)
def test_control_is_global_would_let_them_pass(name):
    assert ip_address(REFUSED[name]).is_global
    assert not may_dial(REFUSED[name], 443)


def test_operator_opens_networks_at_any_port(settings):
    settings.OUTBOUND_ALLOW_CIDRS = ["10.1.0.0/16", "fd12::/16"]
    assert may_dial("10.1.2.3", 8080)
    assert may_dial("::ffff:10.1.2.3", 8080)
    assert may_dial("fd12::1", 5000)
    assert not may_dial("10.2.0.1", 80)
    assert not may_dial("fd12::1%eth0", 80)
    assert not may_dial("8.8.8.8", 8080)
    assert may_dial("8.8.8.8", 80)


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("", "[]"),
        ("10.0.0.0/8, fd12::/16", "['10.0.0.0/8', 'fd12::/16']"),
        ("10.0.0.1/8", "OUTBOUND_ALLOW_CIDRS must list networks such as 10.0.0.0/8: 10.0.0.1/8 has host bits set."),
        ("intranet", "OUTBOUND_ALLOW_CIDRS must list networks such as 10.0.0.0/8: 'intranet' does not appear to be"),
    ],
)
def test_setting_that_is_no_network_stops_the_start(value, outcome):
    program = "from automette import settings; print(settings.OUTBOUND_ALLOW_CIDRS)"
    environment = {**os.environ, "OUTBOUND_ALLOW_CIDRS": value}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert outcome in done.stdout + done.stderr
    assert (done.returncode == 0) == outcome.startswith("[")
