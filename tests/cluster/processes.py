"""The processes of one cluster, seen from whoever started it: a line to their keeper, and a look at how they are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from tests.cluster.places import Place
from tests.cluster.programs import ROOT
from tests.cluster.remains import sweep

WITHIN: Final = 120.0
"""Seconds after which something that does not come up is a failure; far beyond what anything takes."""
PRIVATE: Final = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd", "/run/netns")
"""Fixed places of kubelet and containerd, which no flag moves. Each cluster has its own there."""


class Died(Exception):
    """One of the processes has ended, or does not come up. The text carries the end of its log."""


class Processes:
    """Started here, kept by a :mod:`~tests.cluster.keeper`: they end with this process, however it ends."""

    def __init__(self, place: Place, *, isolated: bool) -> None:
        """``isolated``: in namespaces of their own, which containers need and only root may."""
        self._folder = place.folder
        lock = place.hold.fileno()
        keeper = [sys.executable, "-m", "tests.cluster.keeper", str(place.folder), str(lock)]
        if isolated:
            apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            keeper = [*apart, *keeper, *PRIVATE]
        with (place.folder / "keeper.log").open("wb") as log:
            # A session of its own: Ctrl-C on a terminal is for the caller, who then ends the keeper.
            self._keeper = subprocess.Popen(
                keeper,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
            )
        place.hold.truncate(0)
        place.hold.write(f"{self._keeper.pid}\n")
        place.hold.close()  # the keeper has it open

    @property
    def _line(self) -> IO[bytes]:
        assert self._keeper.stdin is not None
        return self._keeper.stdin

    @property
    def keeper(self) -> int:
        """The process id of their parent."""
        return self._keeper.pid

    def start(self, name: str, argv: Sequence[str | Path]) -> None:
        """Start one; returns at once."""
        self._line.write(json.dumps({"name": name, "argv": [str(word) for word in argv]}).encode() + b"\n")
        self._line.flush()

    def until(self, ready: Callable[[], object], name: str) -> None:
        """Wait until ``ready()`` is true. ``Died`` when any process ends, or ``name`` takes too long."""
        end = time.monotonic() + WITHIN
        while not ready():
            self.check()
            if time.monotonic() > end:
                raise Died(f"{name} does not come up:\n{self._tail(name)}")
            time.sleep(0.02)

    def check(self) -> None:
        """``Died`` when any of them has ended."""
        if self._keeper.poll() is not None:
            raise Died(f"the keeper ended with {self._keeper.returncode}:\n{self._tail('keeper')}")
        for ended in self._folder.glob("*.ended"):
            raise Died(f"{ended.stem} ended with {ended.read_text()}:\n{self._tail(ended.stem)}")

    def close(self) -> None:
        """End them all, and remove what is left of them. May be called again."""
        if not self._line.closed:
            self._line.close()
        try:
            self._keeper.wait(WITHIN)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        sweep(self._folder)

    def _tail(self, name: str) -> str:
        log = self._folder / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-30:]) if log.exists() else "(no log)"
