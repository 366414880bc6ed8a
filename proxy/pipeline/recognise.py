"""What a request means and who is charged for it: the part of the journey before anything happens.

``serve`` and ``explain`` both ask here, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.domain.errors import BadRequest
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.claims import Caller
from proxy.pipeline.identity import Credentials, identify
from proxy.pipeline.snapshot import Serving, Snapshot
from proxy.policy.resolve import Resolution


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: before its caller is known."""

    resolution: Resolution
    serving: Serving


def find_target(snapshot: Snapshot, head: RequestHead, listener: UpstreamName | None) -> Target:
    """Classify. UnknownUpstream or BadRequest where the request points nowhere."""
    resolution = snapshot.resolver.resolve(listener, head.get(b"host") or b"", head.method, head.target)
    return Target(resolution, snapshot.servings[resolution.upstream.name])


def find_caller(snapshot: Snapshot, target: Target, head: RequestHead, peer: str, credentials: Credentials) -> Caller:
    """Identify. BadRequest or TenantNotBelieved where the request claims what it may not."""
    if b"connection" in head and head.tokens(b"connection") & snapshot.protected:
        raise BadRequest("the Connection header names a field that names tenants")
    credential = credentials.name(target.serving.dialect.credential(head))
    tenant = identify(snapshot.policies.tenants, head, target.resolution.path_tenant, credential, peer)
    return Caller(tenant, credential)
