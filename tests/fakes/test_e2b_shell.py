"""The dozen words of shell."""

from __future__ import annotations

import asyncio

import pytest

from proxy.fakes.clock import ManualClock
from proxy.fakes.e2b_shell import Shell, World


class Ran:
    def __init__(self) -> None:
        self.world = World({"/home/user/f": b"text"}, {"/", "/home/user"}, {"NAME": "value"}, "/home/user")
        self.output: list[tuple[str, bytes]] = []
        self.clock = ManualClock()
        self.shell = Shell(self.world, lambda kind, data: self.output.append((kind, data)), self.clock)

    def said(self, kind: str = "stdout") -> str:
        return b"".join(data for k, data in self.output if k == kind).decode()


@pytest.mark.parametrize(
    ("script", "output", "code"),
    [
        ("echo hello world", "hello world\n", 0),
        ("echo -n 'a  b'", "a  b", 0),
        ("echo $NAME ${NAME} $NONE.", "value value .\n", 0),
        ("false || echo no; true && echo yes", "no\nyes\n", 0),
        ("false && echo never", "", 1),
        ("echo a; exit 7; echo b", "a\n", 7),
        ("cat f; pwd", "text/home/user\n", 0),
        ("echo one > g; echo two >> g; cat g", "one\ntwo\n", 0),
        ("for i in 1 2 3; do echo tick $i; done", "tick 1\ntick 2\ntick 3\n", 0),
        ("for i in 1 2; do for j in a b; do echo $i$j; done; done; echo end", "1a\n1b\n2a\n2b\nend\n", 0),
        ("touch go; until [ -f go ]; do echo never; done; echo there", "there\n", 0),
        ("rm f; [ -f f ]", "", 1),
        ("touch x\nls", "f\nx\n", 0),
        ("seq 3", "1\n2\n3\n", 0),
        ("env", "NAME=value\n", 0),
    ],
)
async def test_scripts(script: str, output: str, code: int) -> None:
    ran = Ran()
    assert await ran.shell.run(script) == code
    assert ran.said() == output


@pytest.mark.parametrize(
    ("script", "error", "code"),
    [("nonsense", "command not found", 127), ("echo 'open", "syntax error", 2), ("cat none", "No such file", 1)],
)
async def test_failures_speak_on_stderr(script: str, error: str, code: int) -> None:
    ran = Ran()
    assert await ran.shell.run(script) == code
    assert error in ran.said("stderr")


async def test_stderr_is_kept_apart() -> None:
    ran = Ran()
    await ran.shell.run("echo out; echo err >&2")
    assert (ran.said(), ran.said("stderr")) == ("out\n", "err\n")


async def test_every_line_is_written_when_it_is_made() -> None:
    ran = Ran()
    task = asyncio.create_task(ran.shell.run("for i in 1 2; do echo $i; sleep 5; done"))
    await ran.clock.sleeping(1)
    assert ran.said() == "1\n"
    await ran.clock.advance(5)
    assert ran.said() == "1\n2\n"
    await ran.clock.advance(5)
    assert await task == 0


async def test_cat_reads_its_input_until_it_is_closed() -> None:
    ran = Ran()
    for piece in (b"a", b"b", None):
        ran.world.stdin.put_nowait(piece)
    assert await ran.shell.run("cat") == 0
    assert ran.said() == "ab"
