"""A place of its own for each cluster on a machine: a number, and from it a folder, ports and addresses.

The number is lent by a locked file. The lock is held by the cluster's keeper and goes with it, however it ends; so a
folder whose file is not locked belongs to nobody, and whoever starts a cluster next removes it.

The folder does not follow ``TMPDIR``: numbers have to be the same for everybody on the machine.
"""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from tests.cluster.remains import sweep

BASE: Final = Path(f"/tmp/headgate-clusters-{os.getuid()}")
NUMBERS: Final = range(1, 200)
FIRST_PORT: Final = 21000
PORTS: Final = 10
"""Ports of each cluster. They lie below those that Linux gives to outgoing connections (from 32768)."""


@dataclass(frozen=True, slots=True)
class Place:
    """``hold`` is the locked file: who has it open has the place."""

    number: int
    folder: Path
    hold: TextIO

    def port(self, index: int) -> int:
        """One of the cluster's ports, by number below :data:`PORTS`."""
        assert index < PORTS
        return FIRST_PORT + self.number * PORTS + index

    @property
    def pods(self) -> str:
        """The addresses of its pods."""
        return f"10.213.{self.number}.0/24"

    @property
    def services(self) -> str:
        """The addresses of its services."""
        return f"10.214.{self.number}.0/24"


def reserve() -> Place:
    """The first place that nobody has, empty. What dead clusters left anywhere is removed."""
    BASE.mkdir(mode=0o700, exist_ok=True)
    if BASE.stat().st_uid != os.getuid():
        raise PermissionError(f"{BASE} belongs to somebody else")
    clean()
    for number in NUMBERS:
        place = _taken(number)
        if place is None:
            continue
        sweep(place.folder)
        if not place.folder.exists() and _free(place):
            place.folder.mkdir(mode=0o700)
            return place
        place.hold.close()
    raise RuntimeError(f"no place for a cluster is free in {BASE}")


def clean() -> None:
    """Remove whatever clusters left that ended without their keeper."""
    for folder in BASE.glob("[0-9]*/"):
        place = _taken(int(folder.name))
        if place is not None:
            sweep(place.folder)
            place.hold.close()


def _taken(number: int) -> Place | None:
    """The place with that number, now ours; None where somebody has it."""
    hold = (BASE / f"{number}.pid").open("a+")
    try:
        fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.close()
        return None
    return Place(number, BASE / str(number), hold)


def _free(place: Place) -> bool:
    for index in range(PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", place.port(index)))
            except OSError:
                return False
    return True
