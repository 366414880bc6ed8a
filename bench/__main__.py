"""The command line: ``python -m bench MEASURE``.

Exit 0; 1 when --check was given and a target is missed; 2 when it cannot run.

Everything it starts listens on loopback ports and is stopped by its process id; its files go with the run.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import budget, burst, latency, lists, small, stream, waiting, watch
from bench.machine import BenchError, facts, go_first, pin
from bench.options import Options
from bench.report import Report, replace_section
from bench.subjects import PROXIES, Direct

MEASURES: dict[str, tuple[Callable[[Options], Report], str]] = {
    "small": (small.run, "small requests per second through one worker"),
    "budget": (budget.run, "where the time of a small request goes, by phase"),
    "latency": (latency.run, "latency at a fixed rate, from the time each request was due"),
    "waiting": (waiting.run, "memory per waiting request, and that all are served"),
    "stream": (stream.run, "a big body up and down, and memory meanwhile"),
    "burst": (burst.run, "N creates at once against C seats"),
    "watch": (watch.run, "events of a Kubernetes watch through the pod rewrite"),
    "list": (lists.run, "long lists of pods, and how long the loop is busy with one piece of them"),
}

KNOBS: dict[str, dict[str, int | float]] = {
    "small": {"rounds": 5, "seconds": 8.0, "connections": 64},
    "budget": {"rounds": 3, "seconds": 10.0, "connections": 64},
    "latency": {"rounds": 5, "seconds": 10.0, "connections": 32, "rate": 1000.0},
    "waiting": {"rounds": 3, "requests": 10_000},
    "stream": {"rounds": 3, "mebibytes": 1024},
    "burst": {"rounds": 3, "requests": 40, "seats": 4, "service": 0.5},
    "watch": {"rounds": 5, "events": 100_000},
    "list": {"rounds": 5, "pods": 5_000},
}

MEANINGS = {
    "rounds": "turns that each subject gets",
    "seconds": "of load in each turn",
    "connections": "kept open by the load",
    "rate": "requests due per second",
    "requests": "creates at once",
    "seats": "how many the upstream may see",
    "service": "seconds that each takes there",
    "mebibytes": "size of the body",
    "events": "of each watch",
    "pods": "in each list",
}

ALL = "all"
MIN_WIDTH = 120  # the widest table; a narrower terminal wraps rather than cuts figures off


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what was asked for, everything when nothing was, and returns the exit status."""
    arguments = _parser().parse_args(argv or sys.argv[1:] or [ALL])
    errors = Console(stderr=True)
    reports = []
    try:
        pin(arguments.load_core)  # this process with its loads; each proxy is pinned when it starts
        if arguments.realtime:
            go_first()
        for measure in MEASURES if arguments.measure == ALL else [arguments.measure]:
            reports.append(report := _run(measure, arguments, errors))
            _publish(report, arguments)
    except BenchError as error:
        errors.print(f"bench: {error}", style="red", markup=False, highlight=False)
        return 2
    if arguments.json:
        found = {report.measure: asdict(report) for report in reports}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    missed = any(not target.met for report in reports for target in report.targets)
    return int(arguments.check and missed)


def _publish(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.markdown:
        print(report.markdown())
    else:
        report.show(Console(width=max(MIN_WIDTH, Console().width)))
    if arguments.into:
        page = arguments.into.read_text()
        arguments.into.write_text(replace_section(page, report.measure, report.markdown()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Headgate beside its peers, on this machine.")
    measures = parser.add_subparsers(dest="measure", required=True)
    shape = argparse.ArgumentDefaultsHelpFormatter
    _add_common(measures.add_parser(ALL, help="everything, one after the other", formatter_class=shape))
    for name, (_, text) in MEASURES.items():
        measure = measures.add_parser(name, help=text, description=text, formatter_class=shape)
        _add_common(measure)
        for knob, default in KNOBS[name].items():
            kind = _positive(type(default))
            measure.add_argument(f"--{knob}", type=kind, default=default, help=MEANINGS[knob])
    return parser


def _add_common(measure: argparse.ArgumentParser) -> None:
    add = measure.add_argument
    add("--subjects", type=_subjects, default=",".join(PROXIES), help="which, in this order")
    add("--direct", action=argparse.BooleanOptionalAction, default=True, help="without a proxy, too")
    add("--proxy-core", type=int, default=0, help="for the proxy")
    add("--load-core", type=int, default=1, help="for load and upstream")
    add("--realtime", action="store_true", help="go before all other work on the machine; wants root")
    add("--json", type=Path, metavar="FILE", help="write tables and every sample")
    add("--markdown", action="store_true", help="print sections as docs/benchmarks.md has them")
    add("--into", type=Path, metavar="FILE", help="replace the sections of that page")
    add("--check", action="store_true", help="exit 1 when a target is missed")


def _subjects(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PROXIES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {', '.join(PROXIES)})")
    return names


def _positive(kind: type[int | float]) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"positive {kind.__name__}"  # argparse names it when a value is wrong
    return parse


def _run(measure: str, arguments: argparse.Namespace, errors: Console) -> Report:
    versions = {name: PROXIES[name].version() for name in arguments.subjects}
    names = ([Direct.name] if arguments.direct else []) + arguments.subjects
    knobs: dict[str, Any] = {**KNOBS[measure]}
    knobs |= {knob: value for knob, value in vars(arguments).items() if knob in knobs}
    cores = {"proxy_core": arguments.proxy_core, "load_core": arguments.load_core}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Progress(*columns, console=errors) as progress:
        options = Options(names, folder=Path(name), progress=progress, **cores, **knobs)
        report = MEASURES[measure][0](options)
    settings = ", ".join(f"{knob} {value:g}" for knob, value in knobs.items())
    settings += ", realtime" if arguments.realtime else ""
    report.notes.append(f"interleaved; medians, ratios within a round; spread is half the range; {settings}")
    report.machine = {**facts(), **versions, "on": datetime.now(UTC).date().isoformat()}
    return report


if __name__ == "__main__":
    sys.exit(main())
