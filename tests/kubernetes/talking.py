"""Conversations with a process that goes on: every answer has to come in time."""

from __future__ import annotations

import asyncio

from tests.support.waiting import WITHIN


async def line(process: asyncio.subprocess.Process) -> bytes:
    """The next line of standard output. TimeoutError where none comes."""
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN):
        return await process.stdout.readline()


async def send(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Write to standard input."""
    assert process.stdin is not None
    process.stdin.write(data)
    await process.stdin.drain()


async def rest(process: asyncio.subprocess.Process) -> tuple[int, bytes, bytes]:
    """Exit code, and what is left of both outputs, after the end of its input. TimeoutError where it does not end."""
    if process.stdin is not None:
        process.stdin.close()
    async with asyncio.timeout(WITHIN):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out, err
