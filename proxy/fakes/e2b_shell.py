"""A dozen words of shell, for the fake E2B's ``commands.run``. Runs nothing on this machine.

Knows ``echo [-n]``, ``cat``, ``seq``, ``sleep``, ``true``, ``false``, ``exit``, ``pwd``, ``ls``, ``mkdir``,
``touch``, ``rm``, ``env``, ``[ -f PATH ]``; ``;``, ``&&``, ``||``; ``> >> >&2``; ``$NAME``; ``for x in ...;
do ...; done`` and ``until ...; do ...; done``. Every line is written when it is made, so that a reader can
see that output comes live.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy.fakes.clock import Clock

Write = Callable[[str, bytes], None]
"""Takes ``stdout`` or ``stderr``, and what was written."""
JOINS: Final = (";", "&&", "||")
NAME: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


class Exit(Exception):
    """The script called ``exit``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class World:
    """What a command can touch: the sandbox's files and folders, variables, where it stands, its input."""

    files: dict[str, bytes]
    folders: set[str]
    variables: dict[str, str]
    cwd: str
    stdin: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def path(self, name: str) -> str:
        """An absolute path."""
        return posixpath.normpath(posixpath.join(self.cwd, name))


class Shell:
    """Runs one script."""

    def __init__(self, world: World, write: Write, clock: Clock) -> None:
        self._world, self._write, self._clock = world, write, clock
        self._words: list[str] = []
        self._at = 0

    async def run(self, script: str) -> int:
        """The exit code. 127 for unknown commands, 2 for what this shell cannot read."""
        lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=";&|>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            self._words = list(lexer)
            return await self._list(0, len(self._words))
        except Exit as left:
            return left.code
        except ValueError as why:
            self._write("stderr", f"bash: syntax error: {why}\n".encode())
            return 2

    async def _list(self, start: int, end: int) -> int:
        """The commands in ``words[start:end]``; the code of the last one that ran."""
        code, join = 0, ";"
        while start < end:
            stop = self._end_of_command(start, end)
            if stop > start and (join == ";" or (join == "&&") == (code == 0)):
                code = await self._command(start, stop)
            join = self._words[stop] if stop < end else ";"
            start = stop + 1
        return code

    def _end_of_command(self, start: int, end: int) -> int:
        """The index of the join after the command at ``start``, loops included."""
        depth = 0
        for index in range(start, end):
            word = self._words[index]
            depth += word in ("for", "until") and (index == start or self._words[index - 1] in (*JOINS, "do"))
            if word == "done":
                depth -= 1
            if word in JOINS and depth <= 0:
                return index
        if depth > 0:
            raise ValueError("unexpected end of file")
        return end

    async def _command(self, start: int, end: int) -> int:
        if self._words[start] in ("for", "until"):
            return await self._loop(start, end)
        return await self._simple([self._expand(word) for word in self._words[start:end]])

    async def _loop(self, start: int, end: int) -> int:
        do = self._words.index("do", start, end)
        done = end - 1
        if self._words[done] != "done":
            raise ValueError("expected `done'")
        code = 0
        if self._words[start] == "for":
            name, values = self._words[start + 1], self._words[start + 3 : do]
            for value in [self._expand(v) for v in values if v != ";"]:
                self._world.variables[name] = value
                code = await self._list(do + 1, done)
            return code
        while await self._list(start + 1, do) != 0:
            code = await self._list(do + 1, done)
            await asyncio.sleep(0)  # a body that never waits must not stop the server
        return code

    def _expand(self, word: str) -> str:
        return NAME.sub(lambda found: self._world.variables.get(found[1], ""), word)

    async def _simple(self, words: list[str]) -> int:
        """One command with its redirections."""
        target, kind, append = "", "stdout", False
        for mark in (">>", ">", ">&"):
            if mark in words:
                at = words.index(mark)
                if mark == ">&":
                    kind = "stderr"
                else:
                    target, append = self._world.path(words[at + 1]), mark == ">>"
                words = words[:at] + words[at + 2 :]
        if not target:
            return await self._builtin(words, lambda text: self._write(kind, text))
        if not append or target not in self._world.files:
            self._world.files[target] = b""

        def into_file(text: bytes) -> None:
            self._world.files[target] += text

        return await self._builtin(words, into_file)

    async def _builtin(self, words: list[str], out: Callable[[bytes], None]) -> int:
        if not words:
            return 0
        command = BUILTINS.get(words[0])
        if command is None:
            self._write("stderr", f"/bin/bash: line 1: {words[0]}: command not found\n".encode())
            return 127
        return await command(self, words[1:], out)

    async def echo(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Words and a line feed, which ``-n`` leaves out."""
        bare = bool(words) and words[0] == "-n"
        out((" ".join(words[bare:]) + ("" if bare else "\n")).encode())
        return 0

    async def cat(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Files, or the input until it is closed."""
        if not words:
            while (piece := await self._world.stdin.get()) is not None:
                out(piece)
            return 0
        for word in words:
            content = self._world.files.get(self._world.path(word))
            if content is None:
                self._write("stderr", f"cat: {word}: No such file or directory\n".encode())
                return 1
            out(content)
        return 0

    async def seq(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """1 to N, a line each, in pieces of a thousand lines."""
        last = int(words[0])
        for first in range(1, last + 1, 1000):
            out("".join(f"{n}\n" for n in range(first, min(first + 1000, last + 1))).encode())
            await asyncio.sleep(0)
        return 0

    async def sleep(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Seconds of the fake's clock."""
        await self._clock.sleep(float(words[0]))
        return 0

    async def leave(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """``exit [N]``."""
        raise Exit(int(words[0]) if words else 0)

    async def test(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """``[ -f PATH ]`` and ``test -f PATH``."""
        return int(len(words) < 2 or words[0] != "-f" or self._world.path(words[1]) not in self._world.files)

    async def ls(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Names in a folder."""
        folder = self._world.path(words[0] if words else ".")
        names = sorted(
            posixpath.basename(p)
            for p in {*self._world.files, *self._world.folders}
            if p != "/" and posixpath.dirname(p) == folder
        )
        out("".join(name + "\n" for name in names).encode())
        return 0

    async def touch(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Empty files."""
        for word in words:
            self._world.files.setdefault(self._world.path(word), b"")
        return 0

    async def mkdir(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Folders."""
        self._world.folders |= {self._world.path(word) for word in words if not word.startswith("-")}
        return 0

    async def rm(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Files."""
        for word in words:
            self._world.files.pop(self._world.path(word), None)
        return 0

    async def env(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Variables, sorted."""
        out("".join(f"{n}={v}\n" for n, v in sorted(self._world.variables.items())).encode())
        return 0

    async def pwd(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """Where the command stands."""
        out((self._world.cwd + "\n").encode())
        return 0

    async def true(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """0."""
        return 0

    async def false(self, words: list[str], out: Callable[[bytes], None]) -> int:
        """1."""
        return 1


Builtin = Callable[[Shell, list[str], Callable[[bytes], None]], Awaitable[int]]
BUILTINS: Final[Mapping[str, Builtin]] = {
    **{name: getattr(Shell, name) for name in ("echo", "cat", "seq", "sleep", "ls", "touch", "mkdir", "rm")},
    **{name: getattr(Shell, name) for name in ("env", "pwd", "true", "false", "test")},
    "exit": Shell.leave,
    "[": Shell.test,
    ":": Shell.true,
}
