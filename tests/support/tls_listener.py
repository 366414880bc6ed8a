"""A proxy whose upstream has a TLS listener of its own, and callers who trust what it shows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.app import App
from proxy.domain.ids import UpstreamName
from proxy.settings import Settings
from tests.support.proxies import SALT, policy_of
from tests.support.wire import Side

POLICY = """
version: 1
upstreams:
  api: {url: "%(scheme)s://127.0.0.1:%(port)d", tls: %(trust)s, listen: {address: "127.0.0.1:0", tls: auto}}
timeouts: %(timeouts)s
"""
"""A policy with the upstream's ``scheme`` and ``port``, whom to ``trust`` there, and ``timeouts``."""


@dataclass(frozen=True, slots=True)
class Secured:
    """A running proxy: ``port`` is the TLS listener's, ``plain`` the main one's, ``trust`` what its callers need."""

    app: App
    port: int
    plain: int
    trust: ssl.SSLContext


def trusting(state: Path) -> ssl.SSLContext:
    """A caller that trusts the authority of this state folder and nobody else."""
    context = ssl.create_default_context(cafile=str(state / "tls" / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@asynccontextmanager
async def secured(
    port: int, state: Path, *, ca: Path | None = None, timeouts: str = "{}", policy: str = POLICY
) -> AsyncIterator[Secured]:
    """A proxy in front of a port of loopback; over TLS to the upstream where ``ca`` says whom to trust."""
    said = {"scheme": "https" if ca else "http", "port": port, "trust": f"{{ca_file: {ca}}}" if ca else "{}"}
    settings = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0", state_dir=state)
    app = App(settings, policy_of(policy % (said | {"timeouts": timeouts})), SALT, access_log=False)
    addresses = await app.start()
    try:
        own = addresses.own[UpstreamName("api")]
        yield Secured(app, own[1], addresses.main[1], trusting(state))
    finally:
        await app.close()


@asynccontextmanager
async def tls_caller(
    port: int, context: ssl.SSLContext, kind: type[Side] = Side, name: str = "localhost"
) -> AsyncIterator[Side]:
    """A caller's connection over TLS to a port of loopback, which it calls by this name."""
    side = kind(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))
    try:
        yield side
    finally:
        await side.close()
