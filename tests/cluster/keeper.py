"""The parent of a cluster's processes. It ends them all when its own caller is gone, in whatever way.

``python -m tests.cluster.keeper FOLDER LOCK [PRIVATE…]``: each line on stdin, ``{"name": …, "argv": […]}``, starts a
process that writes to ``FOLDER/NAME.log``; when it ends, its exit code is put in ``FOLDER/NAME.ended``. The end of
stdin is the end: everything is killed and removed. ``LOCK`` is the number of an open file that reserves the folder.

As process 1 of a namespace (``unshare --pid --mount``) everything in that namespace is killed, containers too, and
``PRIVATE`` folders are its own: the fixed places where kubelet and containerd keep things are then not the machine's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.cluster.remains import sweep

SYSCTLS: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What kubelet sets, and refuses to run where it cannot. It is shown what it wants to see instead."""


class Keeper:
    """Starts and reaps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[int, str] = {}
        self._alone = os.getpid() == 1

    def serve(self) -> None:
        """Do what stdin says until it ends; then end everything. The folder is gone afterwards."""
        woken, wakes = socket.socketpair()
        wakes.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        pending = b""
        while True:
            ready, _, _ = select.select([0, woken.fileno()], [], [])
            if woken.fileno() in ready:
                woken.recv(1024)
                self._reap()
            if 0 in ready:
                data = os.read(0, 65536)
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._start(**json.loads(line))
        self._end()

    def _start(self, name: str, argv: list[str]) -> None:
        log = str(self._folder / f"{name}.log")
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        command = ["setpriv", "--pdeathsig", "KILL", *argv]  # should even the keeper be killed
        self._running[os.posix_spawnp(command[0], command, os.environ, file_actions=actions)] = name

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            name = self._running.pop(pid, None)  # process 1 is also sent orphans that it never knew
            if name is not None:
                (self._folder / f"{name}.ended").write_text(str(os.waitstatus_to_exitcode(status)))

    def _end(self) -> None:
        try:
            if self._alone:
                os.kill(-1, signal.SIGKILL)
            else:
                for pid in self._running:
                    os.kill(pid, signal.SIGKILL)
            while True:
                os.wait()
        except (ProcessLookupError, ChildProcessError):
            pass
        sweep(self._folder)


def make_private(folder: Path, places: list[str]) -> None:
    """Put folders of our own over these places, and over what kubelet wants to set; seen in this namespace only."""
    for place in places:
        Path(place).mkdir(parents=True, exist_ok=True)
        own = folder / "private" / place.strip("/").replace("/", "-")
        own.mkdir(parents=True)
        subprocess.run(["mount", "--bind", own, place], check=True)
    for name, value in SYSCTLS.items():
        own = folder / "private" / name.replace("/", "-")
        own.write_text(value + "\n")
        subprocess.run(["mount", "--bind", own, f"/proc/sys/{name}"], check=True)


def main(folder: str, lock: str, *private: str) -> None:
    """The whole life of a keeper."""
    os.set_inheritable(int(lock), False)
    if private:
        make_private(Path(folder), list(private))
    Keeper(Path(folder)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
