"""The few bytes that change on the way: hop-by-hop fields, Host, and Headgate's own. Pure.

Everything else of a head passes as it came: each line is copied, not printed anew, so case, order, repeats and
spacing are the caller's (design.md §2.2).
"""

from __future__ import annotations

from typing import Final

from proxy.domain.messages import Head, RequestHead, ResponseHead
from proxy.ports import Outgoing
from proxy.wire.guard import wants_upgrade

_HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
"""RFC 9110 §7.6.1, less what frames a body: that is relayed as it is."""
_OWN_PREFIX: Final = b"headgate-"


def forwarded_request(head: RequestHead, outgoing: Outgoing) -> bytes:
    """The head as the upstream gets it."""
    upgrade = wants_upgrade(head)
    authority = outgoing.authority
    drop = _HOP_BY_HOP | outgoing.dropped | _named_by_connection(head)
    out = [b"%s %s HTTP/1.1" % (head.method.encode("ascii"), outgoing.target)]
    lines = head.raw.split(b"\r\n")
    for (name, _), line in zip(head.fields, lines, strict=False):
        key = name.lower()
        if key == b"host":
            if authority is None:
                out.append(line)
            else:
                out.append(name + b": " + authority)
        elif key not in drop and not key.startswith(_OWN_PREFIX):
            out.append(line)
        elif key == b"upgrade" and upgrade:
            out.append(line)
            out.append(b"Connection: Upgrade")
        elif key == b"te" and b"trailers" in head.tokens(b"te"):
            out.append(b"TE: trailers")
    if b"host" not in head and authority is not None:
        out.insert(1, b"Host: " + authority)
    out.append(outgoing.added + b"\r\n")
    return b"\r\n".join(out)


def forwarded_reply(head: ResponseHead, added: bytes, *, without: frozenset[bytes] = frozenset()) -> bytes:
    """The head as the caller gets it; ``added`` are whole lines, each ended by CRLF."""
    names = head.names()
    if head.status == 101:
        return head.line + b"\r\n" + head.raw + added + b"\r\n"
    drop = _HOP_BY_HOP | without
    if b"connection" in names:
        drop |= _named_by_connection(head)
    if not names & drop:
        return head.line + b"\r\n" + head.raw + added + b"\r\n"
    lines = head.raw.split(b"\r\n")
    kept = [
        line for (name, _), line in zip(head.fields, lines, strict=False) if name.lower() not in drop
    ]
    return b"\r\n".join([head.line, *kept, added + b"\r\n"])


def _named_by_connection(head: Head) -> frozenset[bytes]:
    return head.tokens(b"connection") if b"connection" in head else frozenset()
