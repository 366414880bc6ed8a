"""A whole proxy in the test's own loop, built by the composition root as in production."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proxy.app import Addresses, App
from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import load_policy
from proxy.policy.policyset import PolicySet
from proxy.settings import Settings

SALT = b"a salt for tests, the same always"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy and where it listens."""

    app: App
    addresses: Addresses

    @property
    def url(self) -> str:
        """The main listener's base URL."""
        return f"http://127.0.0.1:{self.addresses.main[1]}"

    @property
    def admin(self) -> str:
        """The admin listener's base URL."""
        return f"http://127.0.0.1:{self.addresses.admin[1]}"

    def held(self) -> float:
        """Seats held over all limits."""
        return sum(limit.held for limit in self.app.store.view().limits)

    def waiting(self) -> int:
        """Callers that wait."""
        return sum(queue.waiting for queue in self.app.store.view().queues)


def policy_of(text: str, environment: Mapping[str, str] | None = None) -> PolicySet:
    """A policy from YAML text."""
    return load_policy([("test.yaml", text.encode())], environment or {}, OPERATIONS)


@asynccontextmanager
async def running(text: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Proxy]:
    """A proxy with this policy, on free ports of loopback, closed at the end."""
    settings = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0")
    app = App(settings, policy_of(text, environment), SALT, access_log=False)
    addresses = await app.start()
    try:
        yield Proxy(app, addresses)
    finally:
        await app.close()
