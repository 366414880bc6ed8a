"""What a run was asked for, and what every measure does with it: start subjects, go through rounds."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from bench.subjects import SUBJECTS, Plan, Subject


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; a measure reads its own part. `folder` holds configurations and logs."""

    subjects: Sequence[str]
    proxy_core: int
    load_core: int
    folder: Path
    progress: Progress
    rounds: int
    seconds: float = 0.0
    connections: int = 0
    rate: float = 0.0
    requests: int = 0
    seats: int = 0
    service: float = 0.0
    mebibytes: int = 0
    events: int = 0
    pods: int = 0

    def plan(self, upstream: int, **bounds: int) -> Plan:
        """What a subject is to be set up for, with this run's folder and core."""
        return Plan(self.folder, upstream, self.proxy_core, **bounds)

    @contextmanager
    def all_running(self, plan: Plan) -> Iterator[dict[str, Subject]]:
        """Every subject at once: between its turns an idle proxy costs nothing that can be measured."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(SUBJECTS[name](plan)) for name in self.subjects}

    def turns(self, subjects: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Interleaved rounds, A B C A B C …: whatever else the machine does meets all subjects alike."""
        task = self.progress.add_task("", total=self.rounds * len(subjects))
        for round_ in range(self.rounds):
            for name in subjects:
                self.progress.update(task, description=f"round {round_ + 1} of {self.rounds}: {name}")
                yield round_, name
                self.progress.advance(task)

    def queueing(self) -> list[str]:
        """The subjects with a queue of their own."""
        return [name for name in self.subjects if SUBJECTS[name].queues]
