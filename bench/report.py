"""What a measurement found: samples per subject, a table of medians, and how the targets fared.

Rules: a ratio is the median of the ratios within each round, so that a machine that slows down halfway hurts
both sides alike; raw samples are kept for the JSON, so that every figure can be worked out again.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from bench.machine import BenchError

Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """A promise (docs/benchmarks.md names them) and what was measured for it."""

    text: str
    measured: str
    met: bool


@dataclass(slots=True)
class Report:
    """One measure over all its rounds. `samples[subject]` has one sample per round, in order."""

    measure: str
    title: str
    notes: list[str] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)

    def add(self, subject: str, sample: Sample) -> None:
        """Notes the sample of the next round."""
        self.samples.setdefault(subject, []).append(sample)

    def values(self, subject: str, key: str) -> list[float]:
        """One figure, round by round."""
        return [sample[key] for sample in self.samples[subject]]

    def median(self, subject: str, key: str) -> float:
        """One figure over all rounds."""
        return statistics.median(self.values(subject, key))

    def spread(self, subject: str, key: str) -> float:
        """Highest less lowest round, as a share of the median."""
        values = self.values(subject, key)
        return (max(values) - min(values)) / statistics.median(values)

    def ratio(self, subject: str, other: str, key: str) -> float | None:
        """How many times the other's, round by round, the median; None when one was not measured."""
        return self._paired(subject, other, key, lambda mine, theirs: mine / theirs)

    def difference(self, subject: str, other: str, key: str) -> float | None:
        """How much above the other's, round by round, the median; None likewise."""
        return self._paired(subject, other, key, lambda mine, theirs: mine - theirs)

    def _paired(self, mine: str, theirs: str, key: str, of: Callable[[float, float], float]) -> float | None:
        if mine not in self.samples or theirs not in self.samples:
            return None
        pairs = zip(self.values(mine, key), self.values(theirs, key), strict=True)
        return statistics.median(of(a, b) for a, b in pairs)

    def tabulate(self, columns: Sequence[str], row: Callable[[str], Sequence[str]]) -> None:
        """The table: one row per subject, in the order measured."""
        self.columns = ["", *columns]
        self.rows += [[subject, *row(subject)] for subject in self.samples]

    def target(self, text: str, measured: float | None, met: Callable[[float], bool], form: str = ".2f") -> None:
        """Notes a target; nothing when what it is about was not measured."""
        if measured is not None:
            self.targets.append(Target(text, format(measured, form), met(measured)))

    def show(self, console: Console) -> None:
        """The table, the targets and the notes, for people."""
        table = Table(*self.columns, title=self.title, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
            column.no_wrap = True
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for target in self.targets:
            console.print(f"{'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured}")
        for note in self.notes:
            console.print(f"[dim]{note}[/dim]", highlight=False)
        console.print("[dim]" + "; ".join(f"{k} {v}" for k, v in self.machine.items()) + "[/dim]", highlight=False)

    def markdown(self) -> str:
        """The same as a section of docs/benchmarks.md."""
        rule = ["---", *("---:" for _ in self.columns[1:])]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, rule, *self.rows)]
        targets = [f"- {'met' if t.met else '**missed**'}: {t.text}: {t.measured}" for t in self.targets]
        notes = [f"- {note}" for note in self.notes]
        machine = "Machine: " + "; ".join(f"{k} {v}" for k, v in self.machine.items()) + "."
        parts = [f"### {self.title}", "\n".join(lines), "\n".join(targets + notes), machine]
        return "\n\n".join(part for part in parts if part) + "\n"


def replace_section(page: str, measure: str, text: str) -> str:
    """The page with what stands between `<!-- measure -->` and `<!-- /measure -->` replaced by the text."""
    head, begin, rest = page.partition(f"<!-- {measure} -->")
    _, end, tail = rest.partition(f"<!-- /{measure} -->")
    if not end:
        raise BenchError(f"the page has no section between <!-- {measure} --> and <!-- /{measure} -->")
    return f"{head}{begin}\n\n{text}\n{end}{tail}"


def number(value: float | None, form: str = ",.0f") -> str:
    """A cell: a dash where there is no figure."""
    return "–" if value is None else format(value, form)
