"""A Kubernetes API that sends pods as fast as they are read, and Headgate before it.

Rules: bytes are made before anything is measured and sent from a thread with blocking sockets, so that the far side is
not what limits a figure; each event and each item is a chunk of its own, as Go's server flushes them.
"""

import json
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs, urlsplit

from bench.pods import KINDS, pod
from bench.processes import free_port
from bench.subjects import Headgate, Plan

DISTINCT: Final = 500
"""Different pods in a stream; then the same again."""
END: Final = b"\r\n0\r\n\r\n"
"""How a reply in chunks ends, with the end of the chunk before."""
_LAST: Final = b"0\r\n\r\n"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class PodsHeadgate(Headgate):
    """Headgate with rules for pods, before a Kubernetes API."""

    def _policy(self) -> str:
        return f"""
version: 1
upstreams:
  kube:
    url: "http://127.0.0.1:{self.plan.upstream}"
    dialect: kubernetes
    pods: {{main_containers: [sandbox], namespaces: ["agents-*"], labels: "centaur.ai/managed=true"}}
"""


class WatchedHeadgate(PodsHeadgate):
    """The same, with its loop watched from within."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._inside = free_port()

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "bench.inside", str(self._inside)]

    def longest_blocks(self) -> dict[str, float]:
        """The longest time the loop did not come back since the last call, in s: ``cpu`` and ``wall``."""
        with socket.create_connection(("127.0.0.1", self._inside)) as connection:
            said: dict[str, float] = json.loads(connection.makefile("rb").read())
        return said


class PodUpstream:
    """Answers ``/api/v1/namespaces/agents-<kind>/pods``: a list of ``count`` pods, or so many events of a watch."""

    def __init__(self) -> None:
        self._events = {kind: _chunks(_event(kind, number) for number in range(DISTINCT)) for kind in KINDS}
        self._items = {kind: [_item(kind, number) for number in range(DISTINCT)] for kind in KINDS}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Accepts no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = connection.makefile("rb")
            while request := _line(reader):
                while _line(reader) not in (b"\r\n", b""):
                    pass
                target = urlsplit(request.split(b" ")[1].decode())
                kind = target.path.split("/")[4].removeprefix("agents-")
                asked = parse_qs(target.query)
                count = int(asked["count"][0])
                if "watch" in asked:
                    self._watch(connection, kind, count)
                else:
                    connection.sendall(_HEAD + b"".join(self._list(kind, count)) + _LAST)

    def _watch(self, connection: socket.socket, kind: str, count: int) -> None:
        connection.sendall(_HEAD)
        rounds, rest = divmod(count, DISTINCT)
        whole = b"".join(self._events[kind])
        for _ in range(rounds):
            connection.sendall(whole)
        connection.sendall(b"".join(self._events[kind][:rest]) + _LAST)

    def _list(self, kind: str, count: int) -> Iterator[bytes]:
        """Every tenth pod is dead in the list of ``some``."""
        head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"812345"},"items":['
        yield from _chunks([head])
        for number in range(count):
            of = kind if kind in KINDS else ("dead" if number % 10 == 0 else "live")
            yield from _chunks([(b"," if number else b"") + self._items[of][number % DISTINCT]])
        yield from _chunks([b"]}\n"])


def _line(reader: BinaryIO) -> bytes:
    """Empty where the connection is over, in whatever way."""
    try:
        return reader.readline()
    except ConnectionError:
        return b""


def _chunks(pieces: Iterable[bytes]) -> list[bytes]:
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]


def _event(kind: str, number: int) -> bytes:
    shown = {"kind": "Pod", "apiVersion": "v1", **pod(kind, number)}
    return _go({"type": "MODIFIED", "object": shown}) + b"\n"


def _item(kind: str, number: int) -> bytes:
    return _go(pod(kind, number))


def _go(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
