"""What a cluster leaves on the machine once its processes are gone, and its removal: cgroups and a folder.

Everything else dies with the processes: containers and mounts are in namespaces of their own, and a pod's network
interfaces go with the pod's network namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
PATIENCE: Final = 10.0
"""Seconds for the kernel to let go of cgroups whose last process has just died."""


def hierarchies() -> list[Path]:
    """The roots under which cgroups are made: one for each controller with cgroups v1, a single one with v2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    roots = (root for root in CGROUPS.iterdir() if root.is_dir() and not root.is_symlink())
    return [root for root in roots if (root / "cgroup.procs").exists()]


def mounts_below(folder: Path) -> list[Path]:
    """What is mounted in a folder, as this process sees it; the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
    return [place for place in reversed(places) if folder in place.parents]


def sweep(folder: Path) -> None:
    """Remove a dead cluster's cgroups, mounts and folder. Silent where nothing is left; may be called again.

    A folder with something still mounted in it stays: what shows there may be somebody else's files.
    """
    for root in hierarchies() if CGROUPS.is_dir() else []:
        _remove_cgroups(root / cgroup_of(folder))
    for place in mounts_below(folder):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)
    if not mounts_below(folder):
        shutil.rmtree(folder, ignore_errors=True)


def cgroup_of(folder: Path) -> str:
    """The name of the cgroup that holds all pods of the cluster in this folder."""
    return f"headgate-{folder.name}"


def _remove_cgroups(top: Path) -> None:
    end = time.monotonic() + PATIENCE
    for path, _, _ in os.walk(top, topdown=False):
        while True:
            try:
                os.rmdir(path)
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > end:
                    return
                time.sleep(0.01)
            else:
                break
