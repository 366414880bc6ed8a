"""The condition that marks a pod whose phase was derived, and how its message carries what was there before.

A condition and not an annotation: a write of the pod itself discards the status, but would store an annotation
(kubernetes.md §0). The message is for people up to ``; the API server says``, and then JSON that undoes every change.
"""

from __future__ import annotations

from typing import Final

import msgspec

CONDITION: Final = "headgate.dev/PhaseDerived"
IN_BYTES: Final = b"PhaseDerived"
"""What any encoding of a body with our condition contains; some escape the slash in JSON."""
REASONS: Final = {"Failed": "PodFailed", "Succeeded": "PodCompleted"}
"""What the kubelet gives Ready and ContainersReady as reason in a terminal phase (kubernetes.md §3.3)."""
_SAYS: Final = "; the API server says "


class Was(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a condition said before."""

    reason: str | None = None
    message: str | None = None


class Before(msgspec.Struct, omit_defaults=True, frozen=True):
    """What the API server says where we changed it."""

    phase: str
    unsaid: bool = False
    """Whether it gives neither reason nor message, so that both are ours."""
    conditions: dict[str, Was] = {}
    """By type: Ready and ContainersReady, where they were changed."""


_BEFORE: Final = msgspec.json.Decoder(Before)


def written(words: str, before: Before) -> str:
    """The message of our condition."""
    return f"{words.replace(';', ',')}{_SAYS}{msgspec.json.encode(before).decode()}"


def read(message: str) -> Before | None:
    """What was there before; None where the message is not one of ours."""
    _, _, record = message.partition(_SAYS)
    try:
        before = _BEFORE.decode(record)
    except (ValueError, RecursionError):
        return None
    return before if before.phase else None
