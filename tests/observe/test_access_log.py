"""The access log: its lines, its harmlessness, and a reader that is slow or gone."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from proxy.observe.access_log import AccessLog, Format
from proxy.observe.metrics import Metrics
from proxy.observe.observer import ProcessObserver
from proxy.observe.writer import FLUSH_EVERY, FLUSH_SIZE, LineWriter
from proxy.ports import RequestRecord
from tests.observe.test_metrics import nothing

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # the test has closed it
            pass


async def lines_of(pipe: Pipe, *records: RequestRecord, form: Format = "json") -> list[bytes]:
    writer = LineWriter(pipe[1])
    log = AccessLog(writer, form, clock=lambda: 1_700_000_000.5)
    for record in records:
        log.finished(record)
    writer.close()
    return os.read(pipe[0], 1 << 20).splitlines()


WHOLE = RequestRecord(
    method="POST",
    path="/sandboxes",
    upstream="e2b",
    route="create",
    tenant="acme",
    ticket="t-1",
    outcome="refused",
    status=429,
    error="PatienceOver",
    waited=45.0001234567,
    upstream_seconds=0.25,
    tries=2,
)


async def test_a_line_in_json(pipe: Pipe) -> None:
    (line,) = await lines_of(pipe, WHOLE)
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.500Z",
        "method": "POST",
        "path": "/sandboxes",
        "status": 429,
        "outcome": "refused",
        "upstream": "e2b",
        "route": "create",
        "tenant": "acme",
        "ticket": "t-1",
        "waited": 45.000123,
        "upstream_seconds": 0.25,
        "tries": 2,
        "error": "PatienceOver",
    }


async def test_a_line_in_text(pipe: Pipe) -> None:
    lines = await lines_of(pipe, WHOLE, RequestRecord("GET", "/x"), form="text")
    assert lines == [
        b"2023-11-14T22:13:20.500Z POST /sandboxes 429 refused upstream=e2b route=create tenant=acme ticket=t-1"
        b' waited=45.000 upstream_seconds=0.250 tries=2 error="PatienceOver"',
        b"2023-11-14T22:13:20.500Z GET /x 0 ok upstream=- route=- tenant=- ticket=- waited=0.000"
        b" upstream_seconds=0.000 tries=0",
    ]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("evil", ["\x1b[2J", "a\nb", "\x7f", "\x9b2J", "\u2028", "\udcff", "é", '"', "\x00"])
async def test_nothing_of_a_caller_steers_a_terminal_or_forges_a_line(pipe: Pipe, form: Format, evil: str) -> None:
    record = RequestRecord("GET", f"/{evil}/end", error=f"bad {evil} thing", tenant=f"t{evil}")
    (line,) = await lines_of(pipe, record, form=form)
    assert all(0x20 <= byte <= 0x7E for byte in line)
    assert b"/end" in line
    if form == "json":
        json.loads(line)


async def test_a_line_is_out_after_a_while_and_a_full_buffer_at_once(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(b"one\n")
    assert await loop.run_in_executor(None, os.read, pipe[0], 100) == b"one\n"
    assert loop.time() - began >= FLUSH_EVERY * 0.9
    big = b"x" * (FLUSH_SIZE // 2) + b"\n"
    writer.write(big)
    writer.write(big)
    got = b""
    while len(got) < 2 * len(big):  # handed over without another turn of the loop
        got += os.read(pipe[0], 1 << 20)
    assert got == big * 2
    writer.close()


async def test_a_reader_that_is_slow_stops_nobody(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], bound=4 * FLUSH_SIZE)
    line = b"x" * 1023 + b"\n"
    for _ in range(2000):  # nobody reads: 2 MB do not fit into a pipe and 256 kB
        writer.write(line)
    writer.flush()
    assert 0 < writer.dropped < 2000
    kept = 2000 - writer.dropped
    got = bytearray()

    def read() -> None:
        while len(got) < kept * len(line):
            got.extend(os.read(pipe[0], 1 << 20))

    reader = threading.Thread(target=read)
    reader.start()
    await asyncio.to_thread(reader.join)
    assert bytes(got) == line * kept  # whole lines, in order
    dropped = writer.dropped
    writer.write(b"again\n")
    writer.flush()
    assert writer.dropped == dropped
    assert await asyncio.to_thread(os.read, pipe[0], 100) == b"again\n"
    writer.close()


async def test_a_reader_that_is_gone_harms_nobody(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    os.close(pipe[0])
    writer.write(b"into the void\n")
    writer.flush()
    assert writer._thread is not None
    while not writer._broken:  # the thread finds out by itself
        await asyncio.to_thread(writer._thread.join, 0.01)
    writer.write(b"more\n")
    writer.flush()
    assert writer.dropped == 1
    writer.close()


async def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    fcntl.fcntl(pipe[1], fcntl.F_SETFL, os.O_NONBLOCK)
    writer = LineWriter(pipe[1])
    line = b"x" * 1023 + b"\n"
    for _ in range(500):
        writer.write(line)
    writer.flush()
    got = 0
    while got < 500 * len(line):
        got += len(await asyncio.to_thread(os.read, pipe[0], 1 << 20))
    assert writer.dropped == 0
    writer.close()


def test_lines_are_out_before_the_process_ends() -> None:
    program = (
        "import asyncio\nfrom proxy.observe.writer import LineWriter\n"
        "async def main():\n writer = LineWriter(1)\n writer.write(b'last words\\n')\n writer.close()\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"last words\n"


async def test_the_observer_joins_both_and_never_raises(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    writer = LineWriter(pipe[1])
    metrics = Metrics(nothing)
    observer = ProcessObserver(metrics, AccessLog(writer, "json"))
    observer.finished(WHOLE)
    broken = RequestRecord("GET", "/")
    broken.waited = "soon"  # type: ignore[assignment]
    observer.finished(broken)
    writer.close()
    assert "could not be logged" in caplog.text
    assert len(os.read(pipe[0], 1 << 20).splitlines()) == 1
    assert b'route="create",upstream="e2b"} 1.0' in metrics.text()[0].replace(b'outcome="refused",', b"")
