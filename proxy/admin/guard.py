"""Who may ask the admin listener.

Bound to loopback, whoever is on the machine may, but not a web page in somebody's browser: a request whose
``Host`` is no loopback name comes through a rebound DNS name, and one that changes something from another
``Origin`` comes from a foreign page. Bound elsewhere, a bearer token is needed for all but the probes and
the metrics, which tell nothing of single requests.
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from yarl import URL

OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What needs no token (design.md §2.11)."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether a host (without port) is this machine's own by its name or address alone."""
    host = host.strip("[]").lower().rstrip(".")
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def loopback_guard() -> Middleware:
    """For a listener on loopback: 403 unless ``Host`` is loopback and nothing is changed from elsewhere."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if not is_loopback(_name(host)):
            return _refuse(403, "this listener answers to localhost and loopback addresses only")
        origin = request.headers.get("Origin")
        if origin is not None and request.method not in _SAFE and origin.lower() != f"http://{host}".lower():
            return _refuse(403, "not from another site")
        return await handler(request)

    return guard


def token_guard(token: str) -> Middleware:
    """For a listener that others can reach: 401 without the token, compared in constant time."""
    wanted = token.encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            offered = given.strip().encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(offered, wanted) or scheme.lower() != "bearer":
                reply = _refuse(401, "a bearer token is needed (HEADGATE_ADMIN_TOKEN)")
                reply.headers["WWW-Authenticate"] = 'Bearer realm="headgate"'
                return reply
        return await handler(request)

    return guard


def closed_guard() -> Middleware:
    """For a listener that others can reach and no token is known: only the probes and the metrics answer."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            return _refuse(403, "closed off loopback until HEADGATE_ADMIN_TOKEN is set")
        return await handler(request)

    return guard


def _name(host: str) -> str:
    """The host of a Host header, without its port; empty for nonsense."""
    try:
        return URL(f"http://{host}").raw_host or ""
    except ValueError:
        return ""


def _refuse(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
