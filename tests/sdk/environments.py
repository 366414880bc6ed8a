"""Environments with the real E2B SDKs: one per version, built once into a cache outside the tree.

The cache is ``$XDG_CACHE_HOME/headgate/sdk`` (else ``~/.cache/headgate/sdk``); a folder is named after the SDK, its
version and a hash of everything pinned, so a changed pin builds anew and nothing is ever updated in place. A folder
counts only once it is complete: it is built beside its place and renamed into it, so two test runs that build at the
same time cannot see each other's half.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PYTHON_VERSIONS: Final = ("2.63.0", "2.30.0", "2.10.2")
"""The newest; one with the key format check and httpx; the oldest that has both base URLs and does not time out."""
JS_VERSION: Final = "2.51.0"


class NotBuildable(Exception):
    """The environment cannot be built here: no network, no Node, a pin that is gone."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One installed SDK: how to start a client script with it."""

    name: str
    version: str
    folder: Path

    @property
    def label(self) -> str:
        """For test ids: ``python-2.63.0``."""
        return f"{self.name}-{self.version}"

    def command(self, script: str, *arguments: str) -> Sequence[str]:
        """The command line of one client script (``journey``, ``burst``, ``errors``)."""
        if self.name == "python":
            return (str(self.folder / "bin" / "python"), str(HERE / f"{script}.py"), *arguments)
        return ("node", str(self.folder / f"{script}.mjs"), *arguments)


def cache() -> Path:
    """Where the environments live."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "headgate" / "sdk"


def python(version: str) -> Sdk:
    """A virtual environment with that version of the Python SDK. Raises ``NotBuildable``."""
    return Sdk("python", version, python_folder("python", version, HERE / "requirements" / f"e2b-{version}.txt"))


def javascript() -> Sdk:
    """A folder with ``node_modules`` and the client scripts beside it, where Node finds both. ``NotBuildable``."""
    return Sdk("js", JS_VERSION, node_folder("js", JS_VERSION, HERE / "js"))


def all_sdks() -> list[Sdk]:
    """Every environment the tests use. Raises ``NotBuildable``."""
    return [*(python(version) for version in PYTHON_VERSIONS), javascript()]


def python_folder(name: str, version: str, pins: Path) -> Path:
    """A virtual environment with exactly what the file pins. Raises ``NotBuildable``."""

    def build(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        _run([*install, "--disable-pip-version-check", "-r", str(pins)])

    return _cached(name, version, [pins], build, sys.version)


def node_folder(name: str, version: str, source: Path) -> Path:
    """What ``package-lock.json`` of a folder pins, with the folder's scripts beside it. Raises ``NotBuildable``."""
    files = [source / "package.json", source / "package-lock.json", *sorted(source.glob("*.mjs"))]

    def build(folder: Path) -> None:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        _run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    return _cached(name, version, files, build)


def _cached(name: str, version: str, inputs: Sequence[Path], build: Callable[[Path], None], more: str = "") -> Path:
    digest = hashlib.sha256(more.encode())
    for file in inputs:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    place = cache() / f"{name}-{version}-{digest.hexdigest()[:12]}"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as scratch:
        fresh = Path(scratch) / name
        build(fresh)
        try:
            fresh.rename(place)
        except OSError:  # somebody else was quicker; theirs is as good
            if not place.exists():
                raise
    return place


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError as why:
        raise NotBuildable(f"{command[0]} is not installed") from why
    except subprocess.CalledProcessError as why:
        raise NotBuildable(f"{' '.join(command)}: {why.stderr.strip()[-500:]}") from why


if __name__ == "__main__":
    for sdk in all_sdks():
        sys.stdout.write(f"{sdk.label}\t{sdk.folder}\n")
