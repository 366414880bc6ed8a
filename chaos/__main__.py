"""``python -m chaos``: every fault in every place, as two tables. Exit 1 where an invariant broke.

The second table is about pods: an API server behind the link, with informers that watch through it.

python -m chaos                      # all of it
python -m chaos latency down         # only faults whose names begin so
python -m chaos --callers 1000 --seats 50
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence, Set

import uvloop
from rich.console import Console
from rich.table import Table

from chaos.faults import FAULTS, POD_FAULTS, Fault
from chaos.pod_report import PodReport, broken_pods
from chaos.pod_storm import run_pods
from chaos.report import BEATS, Place, Report, broken
from chaos.storm import Size, run
from chaos.toxics import Toxiproxy, binary, toxiproxy

PLACES: tuple[Place, Place] = ("upstream", "receiver")

_COLUMNS = ("fault", "place", "served", "refused", "peak", "cut", "twice", "left", "beats", "s")
_INFORMED = ("watches", "events", "gaps")
_POD_COLUMNS = ("fault", "served", "refused", "peak", "cut", "lost", "twice", "blocked", *_INFORMED, "left", "s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit status."""
    arguments = _parser().parse_args(argv)
    wanted = [fault for fault in FAULTS if fault.name.startswith(tuple(arguments.faults or [""]))]
    if not wanted:
        Console(stderr=True).print("no such fault; there are: " + ", ".join(fault.name for fault in FAULTS))
        return 2
    size = Size(arguments.callers, arguments.seats)
    logging.disable(logging.WARNING)  # a broken receiver is complained of, and here every second one is broken
    console = Console(width=max(Console().width, 120))
    with toxiproxy(binary()) as server:
        reports, found = uvloop.run(_all(server, wanted, size, console))
        pods, more = uvloop.run(_all_pods(server, {fault.name for fault in wanted}, size, console))
    console.print(table(reports, size))
    console.print(pod_table(pods, size))
    found += [f"{report.fault} before the {report.place}: {what}" for report in reports for what in broken(report)]
    found += [
        *more,
        *(f"{report.fault} before the API server: {what}" for report in pods for what in broken_pods(report)),
    ]
    for line in found:
        console.print(line, style="red")
    return 1 if found else 0


async def _all(
    server: Toxiproxy, faults: Sequence[Fault], size: Size, console: Console
) -> tuple[list[Report], list[str]]:
    """What each run showed; and a line for each run that came to a standstill."""
    reports, standstills = [], []
    with console.status("") as status:
        for place, fault in _pairs(faults):
            status.update(f"{fault.name} before the {place}")
            try:
                reports.append(await run(server, fault, place, size))
            except AssertionError as why:
                standstills.append(f"{fault.name} before the {place}: {why}")
    return reports, standstills


async def _all_pods(
    server: Toxiproxy, wanted: Set[str], size: Size, console: Console
) -> tuple[list[PodReport], list[str]]:
    """The same before an API server."""
    reports, standstills = [], []
    with console.status("") as status:
        for fault in (fault for fault in POD_FAULTS if fault.name in wanted):
            status.update(f"{fault.name} before the API server")
            try:
                reports.append(await run_pods(server, fault, size))
            except AssertionError as why:
                standstills.append(f"{fault.name} before the API server: {why}")
    return reports, standstills


def _pairs(faults: Sequence[Fault]) -> Iterator[tuple[Place, Fault]]:
    return ((place, fault) for place in PLACES for fault in faults)


def table(reports: Sequence[Report], size: Size) -> Table:
    """A row for each run; what broke an invariant is red."""
    found = Table(*_COLUMNS, title=f"{size.callers} creates at once, {size.seats} seats; beats: {' / '.join(BEATS)}")
    found.columns[0].no_wrap = True
    for report in reports:
        beats = " / ".join(str(report.beats[name]) for name in BEATS)
        peak = f"{report.peak}" + (f" (+{report.unnoticed})" if report.unnoticed else "")
        left = ", ".join(report.left) or "0"
        cells = [report.fault, report.place, str(report.served), report.refused(), peak, str(report.cut)]
        cells += [str(len(report.twice)), left, beats, f"{report.seconds:.1f}"]
        found.add_row(*cells, style="red" if broken(report) else None)
    return found


def pod_table(reports: Sequence[PodReport], size: Size) -> Table:
    """A row for each run before an API server."""
    found = Table(*_POD_COLUMNS, title=f"{size.callers} pods at once, {size.seats} seats, and informers that watch")
    found.columns[0].no_wrap = True
    for report in reports:
        peak = f"{report.peak}" + (f" (+{report.unnoticed})" if report.unnoticed else "")
        gaps = sum(len(one.missed) for one in report.informed)
        cells = [report.fault, str(report.served), report.refused(), peak, str(report.cut), str(report.lost)]
        cells += [
            str(len(report.twice)),
            ", ".join(report.blocked) or "0",
            str(report.watches),
            str(report.events),
            str(gaps),
        ]
        cells += [", ".join(report.left) or "0", f"{report.seconds:.1f}"]
        found.add_row(*cells, style="red" if broken_pods(report) else None)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break the network and look what holds.")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="faults whose names begin so; all without")
    parser.add_argument("--callers", type=int, default=200, help="creates at once (200)")
    parser.add_argument("--seats", type=int, default=20, help="how many the upstream may see (20)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
