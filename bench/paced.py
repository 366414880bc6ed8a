"""An open-loop load: requests fall due by a schedule, whatever the replies do, and are timed from then.

Rules: latency counts from the intended time (no coordinated omission); arrivals are Poisson with a fixed
seed, so every subject meets the same bursts; a blocking select waits between them, because the timers of
uvloop know whole milliseconds only.
"""

import ctypes
import gc
import random
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from bench.machine import BenchError
from bench.upstreams import BODY

REQUEST = (
    b"GET /sandboxes/i5xzu3r7dbw9k1m4 HTTP/1.1\r\nHost: bench.local\r\nX-API-Key: e2b_bench\r\n"
    b"User-Agent: bench\r\nAccept: */*\r\n\r\n"
)
PR_SET_TIMERSLACK = 29  # prctl(2): by default the kernel may wake a sleeper 50 µs late
GRACE_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class _Connection:
    """One kept connection: when its request was due, and what has come of the reply."""

    socket: socket.socket
    due: int = 0
    reply: bytearray = field(default_factory=bytearray)

    def fileno(self) -> int:
        return self.socket.fileno()


class PacedLoad:
    """Kept connections to one port; each run is measured on its own. A context manager that closes them."""

    def __init__(self, port: int, connections: int) -> None:
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
        self._idle = deque(_Connection(socket.create_connection(("127.0.0.1", port))) for _ in range(connections))
        for connection in self._idle:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._busy: list[_Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._idle, *self._busy):
            connection.socket.close()

    def run(self, rate: float, seconds: float, seed: int) -> list[float]:
        """Latencies in ms, in order of reply. Raises BenchError on a reply that is not 200, or a stall."""
        gc.collect()
        gc.disable()
        try:
            return self._run(_schedule(rate, seconds, seed), time.perf_counter_ns())
        finally:
            gc.enable()

    def _run(self, schedule: list[int], start: int) -> list[float]:
        latencies: list[float] = []
        due = deque(start + offset for offset in schedule)
        last = due[-1] + int(GRACE_SECONDS * 1e9)
        while len(latencies) < len(schedule):
            now = time.perf_counter_ns()
            while due and due[0] <= now and self._idle:
                self._send(due.popleft())
            if now > last:
                raise BenchError(f"{len(schedule) - len(latencies)} replies did not come")
            self._receive(self._pause(due, last), latencies)
        return latencies

    def _pause(self, due: deque[int], last: int) -> float:
        """How long to wait for replies: until the next request is due, or for a connection to send it on."""
        until = due[0] if due and self._idle else last
        return max(0.0, (until - time.perf_counter_ns()) / 1e9)

    def _send(self, due: int) -> None:
        connection = self._idle.popleft()
        connection.due = due
        connection.socket.sendall(REQUEST)
        self._busy.append(connection)

    def _receive(self, pause: float, latencies: list[float]) -> None:
        readable, _, _ = select.select(self._busy, (), (), pause)
        now = time.perf_counter_ns()
        for connection in readable:
            data = connection.socket.recv(65536)
            connection.reply += data
            if not data or not connection.reply.startswith(b"HTTP/1.1 200 "[: len(connection.reply)]):
                raise BenchError(f"not a 200: {bytes(connection.reply[:200])!r}")
            if connection.reply.endswith(BODY):
                latencies.append((now - connection.due) / 1e6)
                connection.reply.clear()
                self._busy.remove(connection)
                self._idle.append(connection)


def _schedule(rate: float, seconds: float, seed: int) -> list[int]:
    """Arrival times in nanoseconds from the start: a Poisson process of `rate` per second."""
    chance = random.Random(seed)
    at, times = 0.0, []
    while (at := at + chance.expovariate(rate)) < seconds:
        times.append(int(at * 1e9))
    return times


def percentile(sorted_values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed (nearest rank)."""
    rank = max(1, -(-int(share * 10_000) * len(sorted_values) // 10_000))
    return sorted_values[rank - 1]
