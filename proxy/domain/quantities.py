"""Durations, rates and shares as people write them, and back.

A duration carries its unit (``500ms``, ``45s``, ``30m``, ``2h``); ``0`` needs none; a bare ``30`` is an
error, because nobody can tell seconds from milliseconds by looking (linkerd's rule).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from proxy.domain.ids import Seconds

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_GO_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, **_UNITS}
_GO_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_GO: Final = re.compile(rf"\+?(?:{_GO_PART.pattern})+", re.ASCII)
_BARE: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)%")


class QuantityError(ValueError):
    """A quantity that cannot be read; ``hint`` says how to write it."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Rate:
    """``amount`` requests per ``period`` seconds."""

    amount: float
    period: Seconds

    @property
    def per_second(self) -> float:
        return self.amount / self.period

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "m", 3600.0: "h"}.get(self.period, f"{self.period:g}s")
        return f"{self.amount:g}/{unit}"


def parse_duration(text: object) -> Seconds:
    """Seconds in ``45s``, ``500ms``, ``30m``, ``2h``, ``1d`` or ``0``; QuantityError otherwise."""
    if text in (0, "0") and not isinstance(text, bool):
        return Seconds(0.0)
    written = str(text)
    found = _DURATION.fullmatch(written) if isinstance(text, str) else None
    if found is None:
        if not isinstance(text, bool) and re.fullmatch(r"\d+(\.\d+)?", written):
            raise QuantityError(f'"{written}" has no unit', f'write "{written}s" for seconds')
        raise QuantityError(f'"{written}" is not a duration', 'write for example "500ms", "45s" or "30m"')
    return Seconds(float(found[1]) * _UNITS[found[2]])


def parse_rate(text: object) -> Rate:
    """A rate like ``5/s`` or ``600/m``, above zero; QuantityError otherwise."""
    found = _RATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise QuantityError(f'"{text}" is not a rate', 'write for example "5/s" or "600/m"')
    if float(found[1]) == 0:
        raise QuantityError("a rate must be above zero", "leave the limit out, or use seats: 0 to let nothing in")
    return Rate(float(found[1]), Seconds(_UNITS[found[2]]))


def parse_share(text: object) -> float:
    """The fraction in ``20%``, between 0 and 1; QuantityError otherwise."""
    found = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if found is None or float(found[1]) > 100:
        raise QuantityError(f'"{text}" is not a share', 'write for example "20%" (0% to 100%)')
    return float(found[1]) / 100


def go_duration(text: str) -> Seconds | None:
    """Seconds in a duration as Go's ``time.ParseDuration`` reads it (``1m0s``, ``1.5h``, ``300ms``), or in a bare
    number; None where it is neither, or not above zero.

    Go itself takes no bare number but 0; callers write one all the same and mean seconds.
    """
    if _BARE.fullmatch(text):
        seconds = float(text)
    elif _GO.fullmatch(text):
        seconds = sum(float(amount) * _GO_UNITS[unit] for amount, unit in _GO_PART.findall(text))
    else:
        return None
    return Seconds(seconds) if 0 < seconds < math.inf else None


def format_duration(seconds: float) -> str:
    """The shortest exact spelling: ``0.5`` is ``500ms``, ``1800`` is ``30m``."""
    if seconds == 0:
        return "0"
    for unit in ("d", "h", "m", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"
