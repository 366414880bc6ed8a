"""What stands before the fake E2B's handlers: connection drops, edge throttles, keys, route rates.

Each raises ``Refused`` (or ``Dropped``) and counts the refusal; none of them waits.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from aiohttp import web

from proxy.fakes.e2b_config import E2BConfig, Throttle
from proxy.fakes.e2b_faults import ANSWERS, error
from proxy.fakes.e2b_limits import Gcra, Window
from proxy.fakes.e2b_seen import Seen
from proxy.fakes.server import Refused, Reply

NO_KEY: Final = error(401, "Invalid API key, please visit https://e2b.dev/docs/api-key for more information.")


class Dropped(Exception):
    """The connection is to be closed without an answer."""


def key_of(request: web.Request) -> str:
    """The credential a request carries: the API key, else the bearer; empty for none."""
    return request.headers.get("X-API-Key") or request.headers.get("Authorization", "").removeprefix("Bearer ")


class Gate:
    """The checks that need memory. ``now`` is the fake's clock."""

    def __init__(self, config: E2BConfig, seen: Seen) -> None:
        self._config = config
        self._seen = seen
        self._second = Window(config.drop_above or 0, 1.0)
        self._edges: dict[tuple[Throttle, str], Window] = {}
        self._rates: defaultdict[tuple[str, str], Gcra] = defaultdict()

    def edge(self, request: web.Request, operation: str, now: float) -> None:
        """What happens before the API sees the request. Raises ``Dropped`` or a 429 that is not JSON."""
        if operation == "create" and self._config.drop_above is not None and not self._second.take(now):
            self._seen.refused["dropped"] += 1
            raise Dropped
        for throttle in self._config.throttles:
            if throttle.path is not None and request.path != throttle.path:
                continue
            whose = key_of(request) if throttle.by == "key" else request.remote or ""
            window = self._edges.setdefault((throttle, whose), Window(throttle.requests, throttle.seconds))
            if not window.take(now):
                self._refuse("edge", ANSWERS["edge-429"])

    def team(self, request: web.Request) -> str:
        """Whose request this is; raises the 401 for no key and for one that is not let in."""
        key = key_of(request)
        if not key or (self._config.keys is not None and key not in self._config.keys):
            self._refuse("unauthorized", NO_KEY)
        return self._config.teams.get(key, key)

    def route_rate(self, team: str, operation: str, now: float) -> dict[str, str]:
        """The headers the answer must carry; raises the 429 that says when to come back."""
        rate = self._config.route_rates.get(operation)
        if rate is None:
            return {}
        verdict = self._rates.setdefault((team, operation), Gcra(rate)).take(now)
        if not verdict.allowed:
            self._refuse("route_rate", Reply(429, ANSWERS["429"].body, verdict.headers()))
        return verdict.headers()

    def _refuse(self, kind: str, reply: Reply) -> None:
        self._seen.refused[kind] += 1
        raise Refused(reply)
