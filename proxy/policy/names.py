"""Names in a policy: what they may look like, and finding the one that was meant."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from proxy.domain.ids import GATE
from proxy.policy.mistakes import Mistakes, Path, did_you_mean, shown

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TENANT: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
_PATTERN: Final = re.compile(r"[A-Za-z0-9._*-]{1,63}")
_FIELD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
"""A header's name, RFC 9110 §5.6.2."""

_HOP_BY_HOP: Final = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
FRAMING: Final = frozenset(_HOP_BY_HOP | {"content-length", "expect", "host"})
"""Headers that belong to a connection or to a message's frame: no policy names them."""


def is_tenant(name: str) -> bool:
    """Whether this may be a tenant's name; ``.`` and ``..`` are dot-segments, not names."""
    return _TENANT.fullmatch(name) is not None and name not in (".", "..")


def check_tenant(path: Path, name: str, mistakes: Mistakes) -> None:
    """The name of one tenant."""
    if not is_tenant(name):
        mistakes.add(path, f"{shown(name)} is not a tenant's name", "1 to 63 of A-Z a-z 0-9 . _ -")


def check_tenant_pattern(path: Path, pattern: str, mistakes: Mistakes) -> None:
    """The name of a tenant, or a pattern of names."""
    if _PATTERN.fullmatch(pattern) is None or pattern in (".", ".."):
        mistakes.add(path, f"{shown(pattern)} is not a tenant's name", "1 to 63 of A-Z a-z 0-9 . _ - and * for any")


def check_name(path: Path, what: str, name: str, mistakes: Mistakes) -> None:
    """The name that something is defined under: an upstream, a limit, a route or a sink."""
    if _NAME.fullmatch(name) is None:
        hint = "1 to 63 of A-Z a-z 0-9 . _ -, a letter or digit first"
        mistakes.add(path, f"{shown(name)} is not a name for {what}", hint)
    elif name == GATE and what == "a limit":
        mistakes.add(path, f'"{GATE}" is the name of the wait that an upstream asks for', "give the limit another name")


def check_field(path: Path, name: str, mistakes: Mistakes) -> None:
    """A header's name that a policy may use."""
    if _FIELD.fullmatch(name) is None:
        mistakes.add(path, f"{shown(name)} is not a header's name", "write for example X-Tenant-Id")
    elif name.lower() in FRAMING:
        mistakes.add(path, f"{shown(name)} belongs to the connection", "choose a header of the message")


def check_defined(path: Path, what: str, name: str, defined: Collection[str], section: str, mistakes: Mistakes) -> bool:
    """Whether something of this name is defined; says so where not, unless definitions are missing from view."""
    if name in defined:
        return True
    if not (mistakes.unreadable or mistakes.marked((section,))):
        mistakes.add(path, f"nothing defines {what} {shown(name)}", did_you_mean(name, defined))
    return False
