"""Faults of the network, each a ``with`` block that undoes itself.

A :class:`Toxiproxy` server stands between two ends on loopback; :func:`toxic` makes what passes through one of
its proxies slow, narrow, cut or stuck for as long as the block lasts::

    with toxiproxy(binary) as server, server.between("redis", host, port) as link:
        with toxic(link, "latency", latency=200):
            ...

The server is a real one. Its Python client keeps the address of *one* server per process in a class, so only
one may run at a time; a second raises instead of quietly talking to the first.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final, Literal

import toxiproxy as client
from toxiproxy.api import APIConsumer

VERSION: Final = "2.12.0"
"""What ``scripts/setup-tools`` builds."""

START_SECONDS: Final = 30.0
"""How long the server may take to say where it listens. It needs 20 ms; a busy machine may need more."""

Stream = Literal["upstream", "downstream"]
"""Which way: ``upstream`` is from the caller to the far side, ``downstream`` the way back."""


def binary() -> Path:
    """The server's executable: ``HEADGATE_TOXIPROXY``, or what ``scripts/setup-tools toxiproxy`` built.

    Raises ``FileNotFoundError`` that says how to get it: a chaos test without its fault proves nothing.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate"
    path = Path(os.environ.get("HEADGATE_TOXIPROXY") or cache / "bin" / f"toxiproxy-server-{VERSION}")
    if not path.is_file():
        raise FileNotFoundError(f"no toxiproxy server at {path}: run `scripts/setup-tools toxiproxy`")
    return path


@dataclass(frozen=True, slots=True)
class Link:
    """One proxy of the server: callers connect to ``host``:``port`` and reach the far side."""

    host: str
    port: int
    proxy: "client.Proxy"

    @contextmanager
    def down(self) -> Iterator[None]:
        """Refuse new connections and drop the open ones while the block lasts."""
        with self.proxy.down():
            yield


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """A running server. Made by :func:`toxiproxy`."""

    pid: int

    @contextmanager
    def between(self, name: str, host: str, port: int) -> Iterator[Link]:
        """A link to ``host``:``port`` on a free loopback port, gone with its connections after the block."""
        proxy = client.Toxiproxy().create(name=name, upstream=f"{host}:{port}", listen="127.0.0.1:0")
        try:
            address, _, listening = proxy.listen.rpartition(":")
            yield Link(address, int(listening), proxy)
        finally:
            proxy.destroy()


@contextmanager
def toxiproxy(executable: Path) -> Iterator[Toxiproxy]:
    """Run a server on a free loopback port while the block lasts.

    Raises ``RuntimeError`` where one runs in this process already, or where it ends without listening.
    """
    if APIConsumer.port != _NOBODY:
        raise RuntimeError("one toxiproxy server at a time: its client knows only one")
    port = _free_port()
    command = [str(executable), "-host", "127.0.0.1", "-port", str(port)]
    with TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_until_it_listens(process, port, log)
            client.Toxiproxy().update_api_consumer("127.0.0.1", port)
            yield Toxiproxy(process.pid)
        finally:
            client.Toxiproxy().update_api_consumer("127.0.0.1", _NOBODY)
            process.terminate()


@contextmanager
def toxic(link: Link, kind: str, *, stream: Stream = "downstream", **attributes: int) -> Iterator[None]:
    """Poison ``link`` while the block lasts; connections that are open feel it, and its end, too.

    ``kind`` and ``attributes`` are toxiproxy's: ``latency`` (latency, jitter: ms), ``bandwidth``
    (rate: kB/s), ``slow_close`` (delay: ms), ``timeout`` (timeout: ms; 0 swallows all), ``reset_peer``
    (timeout: ms), ``slicer`` (average_size, size_variation: bytes; delay: µs), ``limit_data`` (bytes).
    """
    name = f"{kind}_{stream}"
    link.proxy.add_toxic(name=name, type=kind, stream=stream, attributes=attributes)
    try:
        yield
    finally:
        link.proxy.destroy_toxic(name)


_NOBODY: Final = 0
"""The client's port while no server runs: a call then fails instead of reaching somebody else's server."""

APIConsumer.port = _NOBODY


def _free_port() -> int:
    """A port that was free a moment ago. With ``-port 0`` the server would not say which one it got."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    """Return once the server accepts; raise with its log where it ends, or does not within START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and process.poll() is None:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)  # the pause between two looks, over at once when the server ends
            break
    log.seek(0)
    raise RuntimeError(f"toxiproxy does not listen: {log.read().decode(errors='replace')}")
