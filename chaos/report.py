"""What one run showed, and which invariants it broke. Pure: no sockets, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from chaos.crowd import CUT

Place = Literal["upstream", "receiver"]

BEATS: Final = ("ok", "missed", "failed")
"""How a beat may end here; the fake Temper gives no reason for any other."""

ENDS: Final = frozenset({"201", "503", "504", CUT})
"""How a create may end for its caller: served, never sent, sent and nobody knows, or a reply cut in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One burst through one fault, and one small burst after it."""

    fault: str
    place: Place
    harmless: bool
    """Whether the fault can make no create fail."""
    cap: int
    asked: int
    outcomes: Counter[str]
    """How the burst ended for its callers: a status, or ``cut``."""
    peak: int
    unnoticed: int
    busy_peak: int
    cut: int
    twice: list[int]
    denied: list[int]
    """Callers who were told that their create was not processed, while the upstream had it."""
    mixed_up: list[int]
    """Callers who were given a sandbox that is not theirs."""
    left: Mapping[str, object]
    """What Headgate still held when all was over."""
    beats: Counter[str]
    recorded: int
    """Beats that the receiver took."""
    awaited: int | None
    """Deliveries to a receiver that never answers which were waited for to their end; None for other receivers."""
    recovered: int
    recovering: int
    beats_recovered: bool
    seconds: float

    @property
    def served(self) -> int:
        """Callers of the burst who got their sandbox."""
        return self.outcomes["201"]

    def refused(self) -> str:
        """The others, by status."""
        return ", ".join(f"{status}: {n}" for status, n in sorted(self.outcomes.items()) if status != "201") or "–"


@dataclass(slots=True)
class _Findings:
    found: list[str] = field(default_factory=list)

    def unless(self, holds: bool, what: str) -> None:
        if not holds:
            self.found.append(what)


def broken(report: Report) -> list[str]:
    """The invariants that did not hold, each in a line; empty where all did."""
    said = _Findings()
    _admission(report, said)
    _tickets(report, said)
    _progress(report, said)
    return said.found


def _admission(report: Report, said: _Findings) -> None:
    cap = report.cap
    said.unless(report.peak <= cap, f"{report.peak} creates under way at the upstream, and {cap} seats")
    said.unless(report.busy_peak <= cap, f"{report.busy_peak} busy connections to the upstream, and {cap} seats")
    most = 0 if report.harmless else report.cut
    said.unless(report.unnoticed <= most, f"{report.unnoticed} creates let go of, and {most} cut")
    said.unless(not report.twice, f"sent twice although it may have been processed: callers {report.twice}")
    said.unless(not report.denied, f"said to be not processed, and it had arrived: callers {report.denied}")
    said.unless(not report.mixed_up, f"given somebody else's sandbox: callers {report.mixed_up}")


def _tickets(report: Report, said: _Findings) -> None:
    ended = report.outcomes.total()
    said.unless(ended == report.asked, f"{report.asked - ended} of {report.asked} callers never heard how it ended")
    others = set(report.outcomes) - ENDS
    said.unless(not others, f"answers that no fault here explains: {sorted(others)}")
    if report.harmless:
        said.unless(report.served == report.asked, f"refused, and nothing was in the way: {report.refused()}")
    said.unless(not report.left, f"left over: {dict(report.left)}")
    said.unless(
        report.recovered == report.recovering,
        f"after the fault {report.recovered} of {report.recovering} callers were served",
    )


def _progress(report: Report, said: _Findings) -> None:
    others = {name: count for name, count in report.beats.items() if count and name not in BEATS}
    said.unless(not others, f"beats that ended in another way: {others}")
    said.unless(report.beats.total() > 0, "no beat at all")
    said.unless(report.beats["ok"] <= report.recorded, f"{report.beats['ok']} beats ok, {report.recorded} recorded")
    said.unless(not report.awaited, f"{report.awaited} hanging deliveries were waited for to their end")
    said.unless(report.beats_recovered, "no beat arrived after the fault")
