"""A sink made ready to be filled in: what a request must have for it, whom it goes to, and the letter itself.

Pure: no sockets, no clock. Letters hold secrets (the policy's headers), so their ``repr`` shows none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import msgspec

from proxy.domain.ids import Seconds
from proxy.policy.policyset import Sink
from proxy.policy.templates import TextTemplate, Values, escape_header, escape_url

CHANGING: Final = frozenset({"waited", "position", "eta", "blocker", "attempt"})
"""Placeholders told at the moment of a beat; a request has or lacks all the others from the start."""

LONGEST_DELIVERY: Final = Seconds(10.0)
"""A delivery may take this long, or one cadence where that is shorter. The default cadence, so that one
delivery that hangs costs at most one beat."""

SHORTEST_CADENCE: Final = Seconds(0.05)
"""``every`` is never taken shorter than this: a zero in the policy must not spin the loop."""

_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_URL_SAFE: Final = "%/:?#[]@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Letter:
    """One call to be made."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)


class Recipe:
    """A sink with what can be known of it before a request comes."""

    __slots__ = ("_origin", "_receiver", "_typed", "every", "needs", "sink", "timeout")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.every = max(sink.every, SHORTEST_CADENCE)
        self.timeout = Seconds(min(self.every, LONGEST_DELIVERY))
        names = sink.to.names | sink.body.names()
        for _, template in sink.headers:
            names |= template.names
        self.needs = names - CHANGING
        found = _ORIGIN.match(sink.to.text)
        self._origin = TextTemplate(found[0] if found else sink.to.text)
        self._receiver = None if self._origin.names else self._origin.text.lower()
        self._typed = any(name.lower() == "content-type" for name, _ in sink.headers)

    def fits(self, fixed: Values) -> bool:
        """Whether a request with these values has all that the template names."""
        return all(name in fixed for name in self.needs)

    @property
    def receiver(self) -> str | None:
        """Scheme, host and port of the receiver; None where the template fills them in."""
        return self._receiver

    def receiver_for(self, values: Values) -> str:
        """Scheme, host and port for these values; Missing where the template names more."""
        return self._receiver or self._origin.fill(values, escape_url).lower()

    def fill(self, values: Values) -> Letter:
        """The letter of one beat; Missing where the template names more than there is.

        ValueError for a text that cannot be encoded.
        """
        url = quote(self.sink.to.fill(values, escape_url), safe=_URL_SAFE)
        headers = tuple((name, text.fill(values, escape_header)) for name, text in self.sink.headers)
        if self.sink.body.source is None:
            return Letter(self.sink.method, url, headers, None)
        if not self._typed:
            headers = (("Content-Type", "application/json"), *headers)
        return Letter(self.sink.method, url, headers, msgspec.json.encode(self.sink.body.fill(values)))
