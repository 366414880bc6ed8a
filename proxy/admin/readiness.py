"""Whether this process may take traffic, and why not. Owned by the app, asked by ``/readyz``."""

from __future__ import annotations

from typing import Final

STARTING: Final = "starting"
DRAINING: Final = "draining"


class Readiness:
    """Ready while nothing stands against it; a new one is ``starting``. A store that is down does not count."""

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {STARTING: None}

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands against it."""
        return not self._reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """What stands against it, oldest first."""
        return tuple(self._reasons)

    @property
    def mode(self) -> str:
        """``normal`` or ``draining``, as ``headgate_mode`` has it."""
        return DRAINING if DRAINING in self._reasons else "normal"

    def ready(self) -> None:
        """The listeners are bound. Changes nothing once draining."""
        self._reasons.pop(STARTING, None)

    def draining(self) -> None:
        """No more traffic, for good."""
        self._reasons[DRAINING] = None

    def hinder(self, reason: str) -> None:
        """Something else stands against it until it is cleared."""
        self._reasons[reason] = None

    def clear(self, reason: str) -> None:
        """This stands against it no more. ``draining`` stays."""
        if reason != DRAINING:
            self._reasons.pop(reason, None)
