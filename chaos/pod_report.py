"""What one run before an API server showed, and which invariants it broke. Pure: no sockets, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.crowd import CUT

ENDS: Final = frozenset({"201", "503", "504", CUT})
"""How a create may end for its caller: made, never sent, sent and nobody knows, or a reply cut in the middle."""


@dataclass(frozen=True, slots=True)
class Informed:
    """What one informer went through. ``due`` are the resourceVersions it had to be shown, ``shown`` those it was."""

    lists: int
    watches: int
    due: Sequence[int]
    shown: Sequence[int]
    untrue: Sequence[int]
    """Where it was shown a phase that was not true then."""
    differs: Sequence[str]
    """Pods that it knows otherwise than the API server has them, in the end."""

    @property
    def missed(self) -> list[int]:
        """Gaps: what it was never shown."""
        return sorted(set(self.due) - set(self.shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodReport:
    """One burst of creates through one fault, while agents change and informers watch; and a small burst after it."""

    fault: str
    harmless: bool
    """Whether the fault can make no create fail."""
    cap: int
    asked: int
    outcomes: Counter[str]
    peak: int
    unnoticed: int
    cut: int
    lost: int
    """Pods that were made, and whose callers were not told so."""
    twice: list[int]
    denied: list[int]
    mixed_up: list[int]
    blocked: list[str]
    """What needs no seat, and was not answered while all seats were taken by creates that did not end."""
    informed: Sequence[Informed]
    left: Mapping[str, object]
    recovered: int
    recovering: int
    seconds: float

    @property
    def served(self) -> int:
        """Callers of the burst who got their pod."""
        return self.outcomes["201"]

    @property
    def watches(self) -> int:
        """Watches that were opened in all; one for each informer where none was cut."""
        return sum(one.watches for one in self.informed)

    @property
    def events(self) -> int:
        """Events that were shown in all."""
        return sum(len(one.shown) for one in self.informed)

    def refused(self) -> str:
        """The callers who got none, by status."""
        return ", ".join(f"{status}: {n}" for status, n in sorted(self.outcomes.items()) if status != "201") or "–"


def broken_pods(report: PodReport) -> list[str]:
    """The invariants that did not hold, each in a line; empty where all did."""
    found = [
        (report.peak <= report.cap, f"{report.peak} creates under way, and {report.cap} seats"),
        (report.unnoticed <= report.cut, f"{report.unnoticed} creates let go of, and {report.cut} cut"),
        (not report.twice, f"sent twice although it may have been processed: callers {report.twice}"),
        (not report.denied, f"said to be not processed, and it had arrived: callers {report.denied}"),
        (not report.mixed_up, f"given a pod that is not theirs: callers {report.mixed_up}"),
        (not report.blocked, f"blocked by creates, and needs no seat: {report.blocked}"),
        (report.outcomes.total() == report.asked, "callers who never heard how it ended"),
        (set(report.outcomes) <= ENDS, f"answers that no fault here explains: {sorted(set(report.outcomes) - ENDS)}"),
        (not report.harmless or report.served == report.asked, f"refused, nothing in the way: {report.refused()}"),
        (not report.left, f"left over: {dict(report.left)}"),
        (report.recovered == report.recovering, f"after it {report.recovered} of {report.recovering} were served"),
    ]
    return [what for holds, what in found if not holds] + [
        f"informer {number}: {what}" for number, one in enumerate(report.informed) for what in _informed(one)
    ]


def _informed(one: Informed) -> list[str]:
    found = [
        (not one.missed, f"never shown {one.missed}"),
        (list(one.shown) == sorted(set(one.shown)), "shown out of order, or twice"),
        (set(one.shown) <= set(one.due), f"shown what never was: {sorted(set(one.shown) - set(one.due))}"),
        (one.lists == 1, f"had to list {one.lists} times"),
        (not one.untrue, f"shown an untrue phase at {one.untrue}"),
        (not one.differs, f"knows otherwise in the end: {one.differs}"),
    ]
    return [what for holds, what in found if not holds]
