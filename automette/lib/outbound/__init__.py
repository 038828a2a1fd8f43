"""Calls to servers that users name (images, webhooks): `client` has the rules, `addresses` says who is reachable."""

from automette.lib.outbound.client import OutboundClient, Response, fetch_all
from automette.lib.outbound.errors import OutboundError

__all__ = ["OutboundClient", "OutboundError", "Response", "fetch_all"]
