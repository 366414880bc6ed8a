"""Where upstreams are mounted: ``/t/<tenant>``, prefixes, host names, a listener's own root (design.md §2.2).

Works on the caller's bytes and never changes them: what is found is *where* in the path the mount ends. Segments
are compared after unreserved percent-encodings are decoded once; doubled slashes and ``.`` segments between
them count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.domain.errors import BadRequest, UnknownUpstream
from proxy.domain.ids import TenantName, UpstreamName
from proxy.domain.paths import decode_unreserved
from proxy.policy.names import is_tenant
from proxy.policy.policyset import IdentifyBy, PolicySet, Upstream

_PORT = re.compile(rb":[0-9]*$")


@dataclass(slots=True)
class _Node:
    """One segment of the prefixes."""

    upstream: Upstream | None = None
    children: dict[bytes, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mounted:
    """The upstream a path belongs to. ``rest`` are the caller's bytes behind the mount: empty, or a path."""

    upstream: Upstream
    tenant: TenantName | None
    rest: bytes


class Mounts:
    """Finds the upstream of a path. Built once for a policy."""

    def __init__(self, policy: PolicySet) -> None:
        self._upstreams = policy.upstreams
        self._reads_path = any(rule.by is IdentifyBy.PATH for rule in policy.tenants.identify)
        self._hosts: dict[bytes, Upstream] = {}
        self._prefixes = _Node()
        for upstream in policy.upstreams.values():
            for host in upstream.hosts:
                self._hosts[host.encode()] = upstream
            if upstream.prefix is not None:
                _plant(self._prefixes, upstream.prefix, upstream)
        self._root = _only_root(policy.upstreams)

    @property
    def use_hosts(self) -> bool:
        """Whether the Host header decides anything."""
        return bool(self._hosts)

    def find(self, listener: UpstreamName | None, host: bytes, path: bytes) -> Mounted:
        """The mount of an absolute path (without query).

        ``listener`` is the upstream whose own listener the request came to; None is the main one. On that one a
        host without a prefix beside it decides first, then the longest prefix, then the host, then the single
        upstream. Raises UnknownUpstream, BadRequest, or PathError for ``%00``.
        """
        at, tenant = self._tenant(path) if self._reads_path else (0, None)
        if listener is not None:
            return Mounted(self._upstreams[listener], tenant, _after(path, at, mounted=tenant is not None))
        named = self.of_host(host) if self._hosts else None
        if named is not None and named.prefix is None:
            return Mounted(named, tenant, _after(path, at, mounted=tenant is not None))
        upstream, end = self._prefixed(path, at)
        if upstream is not None:
            return Mounted(upstream, tenant, _after(path, end, mounted=True))
        root = named or self._root
        if root is None:
            raise UnknownUpstream(path.decode("latin-1"))
        return Mounted(root, tenant, _after(path, at, mounted=tenant is not None))

    def of_host(self, host: bytes) -> Upstream | None:
        """The upstream that owns a host name, with its port or without."""
        name = host.lower()
        found = self._hosts.get(name)
        return found if found is not None else self._hosts.get(_PORT.sub(b"", name))

    def _tenant(self, path: bytes) -> tuple[int, TenantName | None]:
        segment, end = _segment(path, 0)
        if segment != b"t":
            return 0, None
        name, end = _segment(path, end)
        if not name:
            raise UnknownUpstream(path.decode("latin-1"))
        text = name.decode("latin-1")
        if not is_tenant(text):
            raise BadRequest("the path names no tenant after /t/")
        return end, TenantName(text)

    def _prefixed(self, path: bytes, at: int) -> tuple[Upstream | None, int]:
        """The longest prefix that the path has, and where it ends."""
        node, end = self._prefixes, at
        best: Upstream | None = None
        best_end = at
        while node.children:
            segment, end = _segment(path, end)
            if segment == b".." and best is None:
                raise BadRequest("the path leaves its root")
            child = node.children.get(segment)
            if child is None:
                break
            node = child
            if node.upstream is not None:
                best, best_end = node.upstream, end
        return best, best_end


def _plant(root: _Node, prefix: str, upstream: Upstream) -> None:
    node = root
    for segment in prefix.encode().split(b"/")[1:]:
        node = node.children.setdefault(segment, _Node())
    node.upstream = upstream


def _only_root(upstreams: Mapping[UpstreamName, Upstream]) -> Upstream | None:
    """The upstream at ``/``: the single one, where it is mounted nowhere else."""
    if len(upstreams) != 1:
        return None
    only = next(iter(upstreams.values()))
    return only if only.prefix is None and only.listen is None and not only.hosts else None


def _segment(path: bytes, at: int) -> tuple[bytes, int]:
    """The next segment that says something, decoded, and where it ends; empty at the path's end."""
    length = len(path)
    while at < length:
        if path[at] == 0x2F:
            at += 1
            continue
        end = path.find(b"/", at)
        if end < 0:
            end = length
        segment = decode_unreserved(path[at:end])
        if segment != b".":
            return segment, end
        at = end
    return b"", length


def _after(path: bytes, at: int, *, mounted: bool) -> bytes:
    """What follows a mount. The slashes that join the two are one, so that a base URL may end in a slash."""
    rest = path[at:] if at else path
    return b"/" + rest.lstrip(b"/") if mounted and rest.startswith(b"//") else rest
