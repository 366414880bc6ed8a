"""What a process occupies."""

from __future__ import annotations

import gc
import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of resident memory of this process now, after garbage was collected."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class Peak:
    """The most that another process occupied since this was made, and how much more that is than it was then.

    The kernel keeps it (proc(5): writing 5 to clear_refs begins anew), so no moment is missed.
    """

    def __init__(self, process: int) -> None:
        self._folder = Path(f"/proc/{process}")
        (self._folder / "clear_refs").write_text("5")
        self._before = self.most

    @property
    def most(self) -> int:
        """Bytes of resident memory at its highest."""
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    @property
    def growth(self) -> int:
        """Bytes beyond what was resident at the beginning."""
        return self.most - self._before
