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
"""Headgate's own request fields, known or not, stop here (design.md §2.4)."""


def forwarded_request(head: RequestHead, outgoing: Outgoing) -> bytes:
    """The head as the upstream gets it."""
    line = b"%s %s HTTP/1.1\r\n" % (head.method.encode("ascii"), outgoing.target)
    special = head.any_of(_HOP_BY_HOP) or head.any_of(outgoing.dropped) or _OWN_PREFIX in head.raw.lower()
    if special or head.get_all(b"host") == []:
        return line + _sifted(head, outgoing) + outgoing.added + b"\r\n"
    authority = outgoing.authority
    if authority is None:
        return line + head.raw + outgoing.added + b"\r\n"
    if head.keys[0] == b"host":  # by far the most clients: one cut instead of a walk over the lines
        own = head.lines[0]
        return b"%s%s: %s\r\n%s%s\r\n" % (line, own[:4], authority, head.raw[len(own) + 2 :], outgoing.added)
    return line + _sifted(head, outgoing) + outgoing.added + b"\r\n"


def _sifted(head: RequestHead, outgoing: Outgoing) -> bytes:
    """The lines that go on, each ended by CRLF."""
    upgrade = wants_upgrade(head)
    authority = outgoing.authority
    drop = _HOP_BY_HOP | outgoing.dropped | _named_by_connection(head)
    out = []
    for key, line in zip(head.keys, head.lines, strict=True):
        if key == b"host":
            out.append(line if authority is None else line[:4] + b": " + authority)
        elif key not in drop and not key.startswith(_OWN_PREFIX):
            out.append(line)
        elif key == b"upgrade" and upgrade:
            out.append(line)
            out.append(b"Connection: Upgrade")
        elif key == b"te" and b"trailers" in head.tokens(b"te"):
            out.append(b"TE: trailers")
    if b"host" not in head and authority is not None:
        out.insert(0, b"Host: " + authority)
    out.append(b"")
    return b"\r\n".join(out)


def forwarded_reply(head: ResponseHead, added: bytes, *, without: frozenset[bytes] = frozenset()) -> bytes:
    """The head as the caller gets it; ``added`` are whole lines, each ended by CRLF."""
    if head.status == 101 or not (head.any_of(_HOP_BY_HOP) or head.any_of(without)):
        return b"%s\r\n%s%s\r\n" % (head.line, head.raw, added)
    drop = _HOP_BY_HOP | without | _named_by_connection(head)
    kept = [line for key, line in zip(head.keys, head.lines, strict=True) if key not in drop]
    return b"\r\n".join([head.line, *kept, added + b"\r\n"])


def _named_by_connection(head: Head) -> frozenset[bytes]:
    return head.tokens(b"connection") if b"connection" in head else frozenset()
