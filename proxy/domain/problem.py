"""A problem as every dialect can render it: what happened, what it means, whether to try again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer of Headgate's own. ``message`` is ASCII and says when to come back, for callers without headers."""

    status: int
    code: str
    """Machine-readable, snake case; E2B's ``error_code``, the last part of a problem type."""
    message: str
    proxy_error: str
    """RFC 9209's error type, or our own where it has none."""
    retry_after: int | None = None
    """Whole seconds; only where trying again is safe."""
    final: bool = False
    """Whether sending the same again would be wrong or useless (``Should-Retry: false``)."""
    close: bool = False
    """Whether the caller's connection ends with the reply."""
