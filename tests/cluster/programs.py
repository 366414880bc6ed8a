"""What the machine has for a cluster: asked of ``scripts/setup-cluster``, which alone knows versions and places."""

from __future__ import annotations

import enum
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SETUP: Final = ROOT / "scripts" / "setup-cluster"


class Level(enum.Enum):
    """How much of a cluster there can be."""

    CONTROL = "control"
    """An API server without nodes: what happens to a pod is what somebody PATCHes into its status."""
    NODE = "node"
    """Everything: pods are scheduled and run in containers."""


@dataclass(frozen=True)
class Programs:
    """The programs of a cluster, in the folder where they were built. ``why`` says what is left out, if anything."""

    level: Level
    folder: Path
    why: str

    def __getitem__(self, name: str) -> str:
        """The path of one of them, for a command line."""
        return str(self.folder / name)

    @property
    def kubectl(self) -> Path:
        """The one of the cluster's own version."""
        return self.folder / "kubectl"

    @cached_property
    def old_kubectl(self) -> Path | None:
        """The one that still speaks SPDY, 1.20 (kubernetes.md §12); None where no package carries it."""
        return next(self.folder.glob("kubectl-1.*"), None)


class NoCluster(Exception):
    """The machine cannot have one, or it is not built yet. The text is one line that says why."""


def find(*, build: bool = False) -> Programs:
    """What is there; with ``build``, installed and built first where need be (ten minutes, once). ``NoCluster``."""
    arguments = [] if build else ["--check"]
    asked = subprocess.run(
        [SETUP, *arguments], stdout=subprocess.PIPE, stderr=None if build else subprocess.PIPE, text=True, check=False
    )
    words = (asked.stderr or "").strip()
    if asked.returncode not in (0, 3):
        raise NoCluster(words or "scripts/setup-cluster says why")
    return Programs(Level.NODE if asked.returncode == 0 else Level.CONTROL, Path(asked.stdout.strip()), words)
