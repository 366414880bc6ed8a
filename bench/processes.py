"""Child processes of a measurement: pinned to a core, output in a file, stopped by their id.

Rules: a child that dies early is an error with the end of its output, never a hang.
"""

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.machine import BenchError, family, tool

START_SECONDS = 15.0
STOP_SECONDS = 10.0


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """One process, started by the constructor; a context manager that stops it."""

    def __init__(self, argv: Sequence[str], *, core: int, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = Path(argv[0]).name
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [tool("taskset"), "-c", str(core), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )

    def family(self) -> list[int]:
        """The process and its descendants."""
        return family(self._process.pid)  # taskset executes the program in its own place: same id

    def listening(self, *ports: int) -> Self:
        """Waits until every port accepts. Raises BenchError if it ends or START_SECONDS pass first."""
        deadline = time.monotonic() + START_SECONDS
        for port in ports:
            while not _accepts(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    tail = self._log.read_text(errors="replace")[-2000:]
                    self.stop()
                    raise BenchError(f"{self.name} does not listen on {port}:\n{tail}")
                time.sleep(0.02)
        return self

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after STOP_SECONDS; returns when the process is gone."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
