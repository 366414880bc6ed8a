"""An upstream may say anything: callers get the same message, a 502, or a visible break; never another's reply.

Replies in order, cut everywhere, mutated and made up go through a whole proxy (:mod:`tests.hostile.stage`), in
pieces, with every kind of end behind them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import reduce
from itertools import cycle, pairwise

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.mutations import Mutation, mutate, mutations
from tests.hostile.reading import read
from tests.hostile.stage import OWN, Ask, End, Play, Stage
from tests.support.wire import headgate, upstream
from tests.transparency.compare import timeless

ASKS = {
    "get": Ask(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"),
    "head": Ask(b"HEAD /first HTTP/1.1\r\nHost: a\r\n\r\n", method="HEAD"),
    "post": Ask(b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", b"hello", method="POST"),
    "old": Ask(b"GET /first HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", old=True),
    "upgrade": Ask(b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", upgrade=True),
    "half": Ask(b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhell", b"hell", "POST", missing=5),
}
ENDS: list[End] = ["open", "close", "reset"]
KEPT, PIPELINED = [False, True], [False, True, True, False, False]

OK = b"HTTP/1.1 200 OK\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b'5;a=b\r\nhello\r\n0A;c="d;\\"e"\r\n0123456789\r\n'
EVIL = b"HTTP/1.1 200 Evil\r\nContent-Length: 4\r\n\r\nevil"

REPLIES = {
    "length": OK + b"X-A:  b \r\nContent-Length: 11\r\n\r\nhello world",
    "empty": b"HTTP/1.1 201 Made It\r\nContent-Length: 0\r\nx-a: 1\r\nX-A: 2\r\n\r\n",
    "chunked": OK + TE + b"\r\n" + CHUNKS + b"0\r\n\r\n",
    "trailers": OK + TE + b"Trailer: X-Sum\r\n\r\n" + CHUNKS + b"0;last\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
    "until-close": OK + b"Content-Type: text/plain\r\n\r\nhello\r\n\r\nworld",
    "closing": OK + b"Connection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhello",
    "named": OK + b"Connection: content-length\r\nContent-Length: 5\r\n\r\nhello",
    "old": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    "no-content": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "not-modified": b"HTTP/1.1 304\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
    "interim": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    + OK
    + TE
    + b"\r\n0\r\n\r\n",
    "not-found": b"HTTP/1.1 404 \r\nServer-Timing: a;dur=1\r\nContent-Length: 2\r\n\r\nno",
}
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nfree \0 bytes"

Run = Callable[..., bytes]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Puts one play on the stage: the ask, the pieces of its reply, their end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack, stage = AsyncExitStack(), Stage()
        logging.getLogger("headgate").addHandler(stage.complaints)
        logging.getLogger("asyncio").addHandler(stage.complaints)  # what a loop's handler of exceptions says

        async def start() -> None:
            up = await stack.enter_async_context(upstream(stage.serve))
            stage.proxy = await stack.enter_async_context(headgate(up.port))

        def one(ask: Ask, *pieces: bytes, end: End, kept: bool = False, pipelined: bool = False) -> bytes:
            return runner.run(stage.act(Play(ask, pieces, end, kept=kept, pipelined=pipelined)))

        runner.run(start())
        try:
            yield one
        finally:
            runner.run(stack.aclose())
            logging.getLogger("headgate").removeHandler(stage.complaints)
            logging.getLogger("asyncio").removeHandler(stage.complaints)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("ask", ASKS)
def test_replies_in_order_are_relayed(run: Run, ask: str, end: End) -> None:
    for name, reply in REPLIES.items():
        for again in (False, True):
            got = read(run(ASKS[ask], reply, end=end, kept=again, pipelined=again), ASKS[ask].method)
            assert got.final is not None and not got.own, name


@pytest.mark.parametrize("ask", ASKS)
def test_what_comes_behind_a_reply_reaches_nobody(run: Run, ask: str) -> None:
    """Along with it, or when its connection is idle; unless the reply ends only with its connection."""
    for reply in REPLIES.values():
        for behind in (EVIL, b"HTTP/1.1 200 Ev", b"\r\n", b"x"):
            run(ASKS[ask], reply + behind, end="open")
            run(ASKS[ask], reply, behind, end="open")


@pytest.mark.parametrize("end", ENDS)
def test_a_switch_of_protocols(run: Run, end: End) -> None:
    assert run(ASKS["upgrade"], SWITCH, end=end).endswith(b"\r\n\r\nfree \0 bytes")
    assert run(ASKS["get"], SWITCH, end=end).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("reply", [*REPLIES.values(), SWITCH], ids=[*REPLIES, "switch"])
def test_a_reply_may_come_in_any_pieces(run: Run, reply: bytes) -> None:
    """Split at every byte, and byte by byte: callers get the same bytes."""
    ask = ASKS["upgrade" if reply is SWITCH else "get"]
    whole = timeless(run(ask, reply, end="close"))
    for at in range(1, len(reply)):
        assert timeless(run(ask, reply[:at], reply[at:], end="close")) == whole
    assert timeless(run(ask, *(reply[at : at + 1] for at in range(len(reply))), end="close")) == whole


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_reply_may_end_anywhere(run: Run, reply: bytes) -> None:
    for at, end, kept, pipelined in zip(range(len(reply)), cycle(ENDS), cycle(KEPT), cycle(PIPELINED)):
        run(ASKS["get"], reply[:at], end=end, kept=kept, pipelined=pipelined)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at these places."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places) if start < end]


WAYS = {
    "ask": st.sampled_from(list(ASKS.values())),
    "cuts": st.lists(st.integers(0, 250), max_size=4),
    "end": st.sampled_from(ENDS),
    "kept": st.booleans(),
    "pipelined": st.booleans(),
}
MANY = settings(
    max_examples=700, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@MANY
@given(
    reply=st.sampled_from([*REPLIES.values(), SWITCH]),
    behind=st.sampled_from([b"", EVIL, OWN, EVIL[:9], b"\r\n", b"x"]),
    changes=mutations(b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\nConnection: keep-alive\r\n", b"204", b"1.0", EVIL),
    **WAYS,
)
def test_mutated(
    run: Run,
    reply: bytes,
    behind: bytes,
    changes: list[Mutation],
    ask: Ask,
    cuts: list[int],
    end: End,
    kept: bool,
    pipelined: bool,
) -> None:
    run(ask, *pieces(reduce(mutate, changes, reply), cuts), behind, end=end, kept=kept, pipelined=pipelined)


STATUS = st.one_of(
    st.sampled_from([OK, OK, b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200\r\n"]),
    st.sampled_from([101, 204, 205, 226, 301, 304, 426, 500, 599, 999]).map(lambda code: b"HTTP/1.1 %d \r\n" % code),
    st.sampled_from([b"HTTP/2.0 200 OK\r\n", b"HTTP/1.2 200 OK\r\n", b"HTTP/1.1 099 Low\r\n", b"200 OK\r\n"]),
)
INTERIM = st.sampled_from([100, 100, 102, 103, 199]).map(lambda code: b"HTTP/1.1 %d Not Yet\r\n" % code)
NAMES = b"Content-Length transfer-encoding Connection Upgrade Trailer TE Keep-Alive Server-Timing".split()
VALUES = b"0|1|4|5|05|5, 5|-1|CHUNKED|gzip, chunked|identity|close|keep-alive|content-length|x|y|".split(b"|")
FIELD = st.one_of(
    st.sampled_from([TE, TE, b"Content-Length: 5\r\n", b"Content-Length: 4\r\n"]),
    st.sampled_from([b"X: y\r\n", b"Connection: close\r\n", b"Content-Length: 0\r\n"]),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(lambda field: b"%b: %b\r\n" % field),
    st.sampled_from([b"X y\r\n", b" folded\r\n", b"X: \xff\r\n", b"X: a\rb\r\n", b"X : y\r\n", b"\t: y\r\n"]),
)
FIELDS = st.lists(FIELD, max_size=3).map(lambda fields: b"".join([*fields, b"\r\n"]))
PART = st.one_of(
    st.sampled_from([b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"5;a=b\r\n", b"hello", b"A\r\n"]),
    st.sampled_from(
        [
            b"0\r\nContent-Length: 1\r\n\r\n",
            b"00\r\n\r\n",
            b"0x5\r\nhello\r\n",
            b"5\r\nhelloXX",
            b"-1\r\n",
            b"F" * 16 + b"\r\n",
            b"5 \r\n",
            b"5\n",
        ]
    ),
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", EVIL, OWN, b"\r\n", b"\r\n\r\n", b"1\r\nx\r\n" * 30]),
    st.binary(max_size=5),
)
REPLY = st.tuples(
    st.lists(st.tuples(INTERIM, FIELDS).map(b"".join), max_size=2).map(b"".join),
    STATUS,
    FIELDS,
    st.lists(PART, max_size=5).map(b"".join),
).map(b"".join)


@MANY
@given(reply=REPLY | st.binary(max_size=60), **WAYS)
def test_made_up(run: Run, reply: bytes, ask: Ask, cuts: list[int], end: End, kept: bool, pipelined: bool) -> None:
    run(ask, *pieces(reply, cuts), end=end, kept=kept, pipelined=pipelined)
