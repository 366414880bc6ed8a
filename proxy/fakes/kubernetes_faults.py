"""Scripted faults of the fake API server: "the 2nd create: carried out, then the connection is reset".

A fault names an operation, which of its requests it befalls (counted from 1 in order of arrival), whether the work was
done before the answer was lost, and what the caller sees instead. Pure data and its one-line text form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.fakes.kubernetes_status import busy, status
from proxy.fakes.server import Reply

HANG_UPS: Final = ("reset", "close", "truncate", "hang")

ANSWERS: Final[dict[str, Reply]] = {
    "401": status(401, "Unauthorized", "Unauthorized"),
    "403": status(403, "Forbidden", 'pods is forbidden: User "somebody" cannot create resource "pods"'),
    "409": status(409, "Conflict", "Operation cannot be fulfilled: the object has been modified"),
    "429": busy(1),
    "429-later": busy(7),
    "500": status(500, "InternalError", "Internal error occurred: resource quota evaluation timed out"),
    "503": status(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    "504": status(
        504, "Timeout", "Timeout: request did not complete within the allotted timeout", {"retryAfterSeconds": 1}
    ),
    "edge-502": Reply(502, "<html><body>502 Bad Gateway</body></html>\n", content_type="text/html"),
    "edge-503": Reply(503, "no healthy upstream", content_type="text/plain"),
}
"""What a fault can answer. ``edge-*`` come from a load balancer before the server and are no Status."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault. ``first`` and ``last`` are inclusive; ``delay`` (s) holds the answer back.

    ``what`` is a name of ``ANSWERS``, a hang-up, or ``"answer"``: the real answer, late.
    """

    operation: str
    first: int
    last: int
    done: bool
    what: str
    delay: float = 0.0

    def __post_init__(self) -> None:
        if self.what not in ANSWERS and self.what not in HANG_UPS and self.what != "answer":
            raise ValueError(f"unknown fault {self.what!r}: one of answer, {', '.join([*ANSWERS, *HANG_UPS])}")
        if not 1 <= self.first <= self.last:
            raise ValueError(f"requests are counted from 1, and {self.first}-{self.last} is no range")
        if not self.done and self.what in ("answer", "truncate"):
            raise ValueError(f"{self.what!r} needs an answer, so the work must be done first")


def parse(text: str) -> Fault:
    """Read ``operation:nth[-last]:done|undone:what[:delay]``: ``create:2:done:reset``. Raises ValueError."""
    parts = text.split(":")
    if len(parts) not in (4, 5) or parts[2] not in ("done", "undone"):
        raise ValueError(f"{text!r} is not operation:nth[-last]:done|undone:what[:delay]")
    operation, nth, done, what = parts[:4]
    first, _, last = nth.partition("-")
    delay = float(parts[4]) if len(parts) == 5 else 0.0
    return Fault(operation, int(first), int(last or first), done == "done", what, delay)


class Script:
    """The faults still to come. Counts the requests of each operation."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._arrived: Counter[str] = Counter()

    def next(self, operation: str) -> Fault | None:
        """Count one request of ``operation``, and say which fault befalls it. The first that matches wins."""
        self._arrived[operation] += 1
        nth = self._arrived[operation]
        hits = (f for f in self._faults if f.operation == operation and f.first <= nth <= f.last)
        return next(hits, None)
