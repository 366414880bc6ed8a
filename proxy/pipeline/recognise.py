"""What a request means and who is charged for it: the part of the journey before anything happens.

``serve`` and ``explain`` both ask here, so they cannot disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.domain.errors import BadRequest, SpeaksForAnother, StrangeDoor
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.claims import Caller
from proxy.pipeline.identity import Credentials, identify
from proxy.pipeline.snapshot import Serving, Snapshot
from proxy.policy.origins import is_loopback
from proxy.policy.policyset import Upstream
from proxy.policy.resolve import Resolution

_API_SERVER: Final = re.compile(r"kubernetes(\.default(\.svc(\.[a-z0-9.-]+)?)?)?")
"""What in-cluster clients call it; resolved by the cluster, not by a web page's owner."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: before its caller is known."""

    resolution: Resolution
    serving: Serving


def find_target(snapshot: Snapshot, head: RequestHead, listener: UpstreamName | None) -> Target:
    """Classify. UnknownUpstream or BadRequest where the request points nowhere."""
    verb = _verb_of_patch(head) if head.method == "PATCH" else ""
    resolution = snapshot.resolver.resolve(listener, head.get(b"host") or b"", head.method, head.target, verb)
    return Target(resolution, snapshot.servings[resolution.upstream.name])


def _verb_of_patch(head: RequestHead) -> str:
    """``APPLY`` for a server-side apply, which also makes what is not there yet; else as the method says."""
    return "APPLY" if (head.get(b"content-type") or b"").lower().startswith(b"application/apply-patch") else ""


def find_caller(snapshot: Snapshot, target: Target, head: RequestHead, peer: str, credentials: Credentials) -> Caller:
    """Identify. BadRequest, TenantNotBelieved, SpeaksForAnother or StrangeDoor where it claims what it may not."""
    if b"connection" in head and head.tokens(b"connection") & snapshot.protected:
        raise BadRequest("the Connection header names a field that names tenants")
    dialect, resolution = target.serving.dialect, target.resolution
    if resolution.upstream.own_credential:
        claim = dialect.speaks_for_another(head)
        if claim is not None:
            raise SpeaksForAnother(resolution.upstream.name, claim)
        if dialect.guards_own_credential:
            _check_door(resolution.upstream, head)
    credential = credentials.name(dialect.credential(head))
    namespace = dialect.namespace(resolution.path)
    tenant = identify(snapshot.policies.tenants, head, resolution.path_tenant, namespace, credential, peer)
    return Caller(tenant, credential, namespace or "", dialect.timeout(head.target))


def _check_door(upstream: Upstream, head: RequestHead) -> None:
    """Keep web pages out of what is spoken to with Headgate's own credential: a browser on this machine reaches
    loopback too, under a name of the page's choice (DNS rebinding; ``kubectl proxy`` has the same guard, kubernetes.md
    §7.4), or from afar with an ``Origin``. StrangeDoor where a request may be one's."""
    if b"origin" in head:
        raise StrangeDoor(upstream.name, "Origin")
    asked = (head.get(b"host") or b"").decode("latin-1").lower()
    host = asked if asked.endswith("]") else asked.rpartition(":")[0] or asked
    known = is_loopback(host) or _API_SERVER.fullmatch(host) is not None
    own = upstream.listen is not None and host.strip("[]") == upstream.listen.host
    if not (known or own or asked in upstream.hosts or host in upstream.hosts):
        raise StrangeDoor(upstream.name, "Host")
