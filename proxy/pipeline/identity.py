"""Who is charged for a request: the tenant, and the credential by a salted hash that tells nothing.

Tenants are believed only from where the policy trusts them; otherwise the next rule decides, so nobody can make
up tenants to escape a limit (design.md §2.3). Pure but for a memo.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from proxy.domain.errors import BadRequest, TenantNotBelieved
from proxy.domain.ids import TenantName
from proxy.domain.messages import RequestHead
from proxy.policy.policyset import IdentifyBy, Tenants, parse_address

NO_CREDENTIAL: Final = "none"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
_REMEMBERED: Final = 4096


class Credentials:
    """Names credentials: ``key-`` and 12 hex digits of a keyed hash. The same salt gives the same names."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt[:64]
        self._names: dict[bytes, str] = {}

    def name(self, credential: bytes | None) -> str:
        """The name of a credential; ``none`` where there is none."""
        if not credential:
            return NO_CREDENTIAL
        known = self._names.get(credential)
        if known is not None:
            return known
        digest = hashlib.blake2b(credential, key=self._salt, digest_size=6).hexdigest()
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        self._names[credential] = f"key-{digest}"
        return self._names[credential]


def identify(
    tenants: Tenants,
    head: RequestHead,
    path_tenant: TenantName | None,
    namespace: str | None,
    credential: str,
    peer: str,
) -> TenantName:
    """The tenant of a request: the first rule that yields one, else the default.

    TenantNotBelieved for ``/t/<tenant>`` from an address that is not trusted; BadRequest for a name that is none.
    """
    for rule in tenants.identify:
        match rule.by:
            case IdentifyBy.PATH:
                if path_tenant is not None:
                    if not rule.believes(parse_address(peer)):
                        raise TenantNotBelieved(path_tenant[:63])
                    return _checked(path_tenant)
            case IdentifyBy.HEADER:
                values = head.get_all(rule.header)
                if len(values) > 1:
                    raise BadRequest(f"more than one {rule.header.decode()} header")
                if values and values[0] and rule.believes(parse_address(peer)):
                    return _checked(values[0].decode("latin-1"))
            case IdentifyBy.NAMESPACE:
                if namespace and _NAME.fullmatch(namespace):  # anything else is the API server's to refuse
                    return TenantName(namespace)
            case IdentifyBy.CREDENTIAL:
                if credential != NO_CREDENTIAL:
                    return TenantName(credential)
    return tenants.default


def _checked(name: str) -> TenantName:
    if not _NAME.fullmatch(name):
        raise BadRequest("a tenant's name is 1 to 63 of A-Z a-z 0-9 . _ -")
    return TenantName(name)
