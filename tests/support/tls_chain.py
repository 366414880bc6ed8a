"""Caller, proxy and upstream in a row, with TLS on either leg, both or none."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.tls_listener import Secured, secured, tls_caller
from tests.support.wire import Script, Side, Upstream, caller, upstream

BOTH = """
version: 1
upstreams:
  api:
    url: %(scheme)s://127.0.0.1:%(port)d
    tls: %(trust)s
    prefix: /both
    hosts: [a]
    listen: {address: "127.0.0.1:0", tls: auto}
timeouts: %(timeouts)s
"""
"""A listener of its own, and a place on the main one for callers who speak plain."""

legs = pytest.mark.parametrize("legs", ["tls-tls", "tls-plain", "plain-tls", "plain-plain"])
"""What is between caller and proxy, and proxy and upstream."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Caller, proxy and upstream, and what is between them."""

    proxy: Secured
    up: Upstream
    tls: bool
    """Whether callers come by the TLS listener."""

    def caller(self) -> AbstractAsyncContextManager[Side]:
        return tls_caller(self.proxy.port, self.proxy.trust) if self.tls else caller(self.proxy.plain)

    def gone(self) -> bool:
        """Whether the proxy holds no connection."""
        app = self.proxy.app
        return app.connections.open == app.front.connected == 0


@dataclass(frozen=True, slots=True)
class Place:
    """What is made once for all tests."""

    folder: Path
    authority: Authority
    theirs: ssl.SSLContext

    @asynccontextmanager
    async def chain(self, legs: str, script: Script, timeouts: str = "{}") -> AsyncIterator[Chain]:
        """``legs`` says what is between caller and proxy, and proxy and upstream."""
        first, _, second = legs.partition("-")
        ca = self.authority.file if second == "tls" else None
        async with (
            upstream(script, self.theirs if ca else None) as up,
            secured(up.port, self.folder, ca=ca, timeouts=timeouts, policy=BOTH) as proxy,
        ):
            yield Chain(proxy, up, first == "tls")
