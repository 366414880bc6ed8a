"""What callers of one listener share: whose upstream they want, how long heads may be, how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.domain.errors import HeadgateError
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import USUAL_HEAD, HeadBounds, Reply


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that callers connect to."""

    render: Callable[[HeadgateError], Reply]
    """How its callers read an error that comes before anybody knows what they asked for."""
    upstream: UpstreamName | None = None
    """Whose own listener it is; None: the main one, where paths decide."""
    heads: HeadBounds = USUAL_HEAD

    def refusal(self, error: HeadgateError) -> bytes:
        """The bytes that answer a message before anybody knows whom it was for."""
        reply = self.render(error)
        fields = "".join(f"{name}: {value}\r\n" for name, value in reply.fields)
        head = (
            f"HTTP/1.1 {reply.status} Refused\r\n{fields}Content-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("latin-1") + reply.body
