"""Environments with real Kubernetes clients, kept as those of the E2B SDKs are (tests/sdk/environments.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sdk.environments import node_folder, python_folder

HERE: Final = Path(__file__).parent
PYTHON: Final = {"kubernetes": "37.0.2", "kubernetes_asyncio": "36.1.0", "kr8s": "0.20.15", "lightkube": "1.0.1"}
"""The newest of each."""
NODE: Final = "client-node"
NODE_VERSION: Final = "1.4.0"
"""The newest that Node 20 runs."""
NAMES: Final = (*PYTHON, NODE)


@dataclass(frozen=True, slots=True)
class Client:
    """One installed client library."""

    name: str
    version: str
    folder: Path

    def command(self, scenario: str, *arguments: str) -> Sequence[str]:
        """The command line of a scenario that it plays, ``life`` say."""
        if self.name == NODE:
            return ("node", str(self.folder / f"{scenario}.mjs"), *arguments)
        script = HERE / "scenarios" / f"{scenario}_with_{self.name}.py"
        return (str(self.folder / "bin" / "python"), str(script), *arguments)


def client(name: str) -> Client:
    """This client, built where it is not yet. Raises ``NotBuildable``."""
    if name == NODE:
        return Client(name, NODE_VERSION, node_folder(name, NODE_VERSION, HERE / "js"))
    version = PYTHON[name]
    return Client(name, version, python_folder(name, version, HERE / "requirements" / f"{name}-{version}.txt"))


if __name__ == "__main__":
    for one in map(client, NAMES):
        sys.stdout.write(f"{one.name}-{one.version}\t{one.folder}\n")
