"""Which upstream, operation and route a request has, and what to send upstream. Pure, and on the hot path.

Matching looks at a normalised copy of the path; what goes upstream are the caller's own bytes behind the mount
(design.md §2.3). Answers are remembered for plain targets, so that the common case is one look into a dict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from proxy.domain.errors import BadRequest
from proxy.domain.ids import TenantName, UpstreamName
from proxy.domain.paths import PathError, normalise
from proxy.policy.mounts import Mounts
from proxy.policy.policyset import PolicySet, Route, Upstream

_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORT: Final = {b"http": b":80", b"https": b":443"}
_REMEMBERED: Final = 2048
"""Answers in each of the memo's two halves; with :data:`_LONGEST` a memo stays within a few MB whatever is asked."""
_LONGEST: Final = 512
"""Targets longer than this, in bytes, are not remembered."""
_NO_HOLES: Final[Mapping[str, str]] = MappingProxyType({})

Classify = Callable[[str, str, str, bytes], str]
"""A dialect's operation of (dialect, verb, normalised path, query)."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a policy says of a request before anything but its method, target and host is looked at."""

    upstream: Upstream
    path_tenant: TenantName | None
    """The tenant named by ``/t/<tenant>``. Whether it is believed is decided elsewhere."""
    path: str
    """The normalised path behind the mount; latin-1, so that every byte has its character."""
    forward: bytes
    """The target for the upstream: its base, the caller's bytes behind the mount, the query."""
    operation: str
    route: Route | None
    holes: Mapping[str, str]
    """What the holes of the route's path template matched."""


class Resolver:
    """Resolves requests by one policy. Not for several threads at once."""

    def __init__(self, policyset: PolicySet, classify: Classify) -> None:
        self._mounts = Mounts(policyset)
        self._classify = classify
        self._routes: dict[UpstreamName, tuple[Route, ...]] = {
            name: tuple(route for route in policyset.routes if route.match.upstream == name)
            for name in policyset.upstreams
        }
        self._bases = {name: upstream.origin.base.encode() for name, upstream in policyset.upstreams.items()}
        self._use_hosts = self._mounts.use_hosts
        self._young: dict[tuple[UpstreamName | None, bytes, str, bytes], Resolution] = {}
        self._old: dict[tuple[UpstreamName | None, bytes, str, bytes], Resolution] = {}

    def resolve(
        self, listener: UpstreamName | None, host: bytes, method: str, target: bytes, verb: str = ""
    ) -> Resolution:
        """What becomes of a request.

        ``listener`` is the upstream whose own listener it came to, None for the main one; ``host`` the Host header,
        empty where there is none. ``verb`` is what the method means where that is more than its name says (``APPLY``):
        dialects classify by it. Raises UnknownUpstream where nothing is mounted, BadRequest for a target that is
        no path, holds ``%00`` or leaves its mount.
        """
        key = (listener, host if self._use_hosts else b"", verb or method, target)
        found = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is None:
            found = self._look(listener, host, method, target, verb or method)
            if len(target) > _LONGEST or len(host) > _LONGEST or target[:1] != b"/":
                return found
        self._remember(key, found)
        return found

    def _remember(self, key: tuple[UpstreamName | None, bytes, str, bytes], found: Resolution) -> None:
        if len(self._young) >= _REMEMBERED:
            self._old = self._young
            self._young = {}
        self._young[key] = found

    def _look(self, listener: UpstreamName | None, host: bytes, method: str, target: bytes, verb: str) -> Resolution:
        if target[:1] == b"/":
            scheme, authority, origin_form = b"", host, target
        else:
            scheme, authority, origin_form = _absolute(target)
        path, mark, query = origin_form.partition(b"?")
        if b"#" in origin_form:
            raise BadRequest("the target holds a fragment")
        try:
            mounted = self._mounts.find(listener, authority, path)
            normal = normalise(mounted.rest).decode("latin-1")
        except PathError as error:
            raise BadRequest(str(error)) from None
        upstream = mounted.upstream
        if scheme:
            self._check_authority(upstream, scheme, authority, host)
        operation = self._classify(upstream.dialect, verb, normal, query)
        route, holes = self._route(upstream.name, method, operation, normal)
        forward = (self._bases[upstream.name] + mounted.rest or b"/") + mark + query
        return Resolution(upstream, mounted.tenant, normal, forward, operation, route, holes)

    def _check_authority(self, upstream: Upstream, scheme: bytes, authority: bytes, host: bytes) -> None:
        """An absolute target must name the upstream it goes to (design.md §2.2)."""
        if upstream.hosts:
            if self._mounts.of_host(authority) is not upstream:
                raise BadRequest("the target's authority is none of the upstream's hosts")
        elif _without_port(authority, scheme) != _without_port(host, scheme):
            raise BadRequest("the target's authority is not the Host header's")

    def _route(
        self, upstream: UpstreamName, method: str, operation: str, path: str
    ) -> tuple[Route | None, Mapping[str, str]]:
        for route in self._routes[upstream]:
            match = route.match
            if match.operations and operation not in match.operations:
                continue
            if match.methods and method not in match.methods:
                continue
            if match.path is None:
                return route, _NO_HOLES
            holes = match.path.match(path)
            if holes is not None:
                return route, holes
        return None, _NO_HOLES


def _absolute(target: bytes) -> tuple[bytes, bytes, bytes]:
    """Scheme, authority and origin-form of an absolute target; BadRequest for every other form."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise BadRequest("the target is neither a path nor an http:// URL")
    authority, rest = found[2], found[3]
    if not authority or b"@" in authority:
        raise BadRequest("the target's authority is not a host")
    return found[1].lower(), authority, rest if rest.startswith(b"/") else b"/" + rest


def _without_port(authority: bytes, scheme: bytes) -> bytes:
    """The authority in lower case, without the port that its scheme has anyway."""
    return authority.lower().removesuffix(_DEFAULT_PORT[scheme])
