"""Scripted faults of the fake E2B: "the 3rd create: created, then 503".

A fault names an operation, which of its requests it befalls (counted from 1 in order of arrival), whether the
work was done before the answer was lost (``done``), and what the caller sees instead. Pure data and its
one-line text form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from proxy.fakes.server import Reply

HangUp = Literal["reset", "close", "truncate", "hang"]
HANG_UPS: tuple[HangUp, ...] = ("reset", "close", "truncate", "hang")
TEXT = "text/plain"
HTML = "text/html"


def error(status: int, message: str, error_code: str | None = None, **headers: str) -> Reply:
    """An error in E2B's own shape: ``{"code", "message"[, "error_code"]}``."""
    body = {"code": status, "message": message} | ({"error_code": error_code} if error_code else {})
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


ANSWERS: dict[str, Reply] = {
    "400": error(400, "Invalid request"),
    "401": error(401, "Invalid API key, please visit https://e2b.dev/docs/api-key for more information."),
    "403": error(403, "Team is blocked"),
    "409": error(409, "Sandbox start is already in flight", "sandbox_start_in_flight"),
    "429": error(429, "Rate limit exceeded", Retry_After="1"),
    "429-concurrency": error(
        429,
        "you have reached the maximum number of concurrent E2B sandboxes (20). "
        "If you need more, please contact us at 'https://e2b.dev/docs/getting-help'",
    ),
    "500": error(500, "Failed to create sandbox", "sandbox_create_failed"),
    "502": error(502, "Bad gateway"),
    "503": error(503, "No capacity available to place the sandbox", "sandbox_capacity_unavailable"),
    "503-final": error(503, "No node is compatible with the template", "sandbox_no_compatible_node"),
    "504": error(504, "Timed out while placing the sandbox", "sandbox_placement_timeout"),
    "edge-429": Reply(429, "Too Many Requests\n", content_type=TEXT),
    "edge-502": Reply(
        502, "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n", content_type=HTML
    ),
    "edge-503": Reply(503, "no healthy upstream", content_type=TEXT),
    "edge-504": Reply(504, "upstream request timeout", content_type=TEXT),
    "empty-503": Reply(503),
}
"""What a fault can answer. ``edge-*`` come from in front of the API and are not JSON."""


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

    @property
    def from_api(self) -> bool:
        """Whether the API itself answers so (its idempotency store then remembers the answer)."""
        reply = ANSWERS.get(self.what)
        return reply is not None and not self.done and not self.what.startswith(("edge-", "empty-"))


def parse(text: str) -> Fault:
    """Read ``operation:nth[-last]:done|undone:what[:delay]``: ``create:3:done:503``. Raises ValueError."""
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
