"""Three servers that say what they make of given bytes: nginx, HAProxy and aiohttp, for real.

Each listens on a Unix socket in a folder of its own, waits for a request's body to its end, and answers 200 with
an empty body and the fields ``Method``, ``Target`` and ``Size``: what it saw. A
refusal has none of them. They know nothing of Headgate, and judge only framing, method and target; not fields.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.wire import HEAD_END, PATIENCE, Side

NGINX = """
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log %(folder)s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  server {
    listen unix:%(folder)s/nginx;
    location / { proxy_pass http://unix:%(folder)s/inner; proxy_set_header Expect ""; }
  }
  server {
    listen unix:%(folder)s/inner;
    add_header Method $request_method;
    add_header Target $request_uri;
    add_header Size $content_length;
    return 200 "";
  }
}
"""
"""The outer server gathers the body and asks the inner one, which says what came of it."""

HAPROXY = """
global
  nbthread 1
  maxconn 200
defaults
  mode http
  timeout client 30s
  timeout http-request 30s
  timeout http-keep-alive 30s
frontend judge
  bind unix@%(folder)s/haproxy
  http-request wait-for-body time 30s
  http-request return status 200 hdr Method "%%[method]" hdr Target "%%[url]" hdr Size "%%[req.body_size]"
"""

END = b"GET /the-end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
"""What another caller sends next on the same connection: whoever framed the one before otherwise trips on it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One request as somebody saw it. ``size`` are the bytes of the body without its frames."""

    method: bytes
    target: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a server answered: the requests it saw, then the status of a refusal (0 for none)."""

    saw: tuple[Sight, ...]
    refused: int = 0


ENDED = Sight(b"GET", b"/the-end", 0)


def verdict_of(reply: bytes) -> Verdict:
    """A judge's answers, up to the end of its connection. Interim replies are none."""
    saw: list[Sight] = []
    refused = 0
    while reply:
        head, _, reply = reply.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status < 200:
            continue
        fields = {name.lower(): value for name, value in re.findall(rb"\r\n([^:]+): *([^\r]*)", head)}
        if b"method" not in fields:
            refused = status
            break
        saw.append(Sight(fields[b"method"], fields[b"target"], int(fields.get(b"size") or 0)))
    return Verdict(tuple(saw), refused)


async def judge(path: Path, data: bytes, *, whole: bool) -> Verdict:
    """What the server at a socket sees in ``data``: ``whole`` with :data:`END` behind it, else cut off there.

    Behind a request to leave HTTP it comes only after the reply, as from Headgate: before, it would be no HTTP.
    """
    side = Side(*await asyncio.open_unix_connection(str(path)))
    try:
        side.send(data)
        if not whole:
            side.half_close()
        elif b"\r\nupgrade:" in data.lower():
            await side.sees(HEAD_END)
            side.send(END)
        else:
            side.send(END)
        return verdict_of(await side.rest())
    finally:
        await side.close()


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    fields = {"Method": request.method, "Target": request.raw_path, "Size": str(len(body))}
    return web.Response(headers=fields)


def found(name: str) -> str:
    """The path of a server's program. Without it the test is skipped, but fails in CI."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is not None:
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


async def _listens(process: subprocess.Popen[bytes], path: Path) -> None:
    """Wait until a server takes connections."""
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.poll() is None, f"{path.name} ended with {process.returncode}"
            try:
                _, writer = await asyncio.open_unix_connection(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


@asynccontextmanager
async def judges(folder: Path) -> AsyncIterator[dict[str, Path]]:
    """All three, by name, each at its socket."""
    commands = {"nginx": [found("nginx"), "-c"], "haproxy": [found("haproxy"), "-q", "-db", "-f"]}
    paths = {name: folder / name for name in (*commands, "aiohttp")}
    processes: list[subprocess.Popen[bytes]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(web.Server(_answer, access_log=None), str(paths["aiohttp"]))
    try:
        for (name, command), text in zip(commands.items(), (NGINX, HAPROXY), strict=True):
            config = folder / f"{name}.conf"
            config.write_text(text % {"folder": folder}, encoding="ascii")
            with (folder / f"{name}.out").open("wb") as out:
                processes.append(subprocess.Popen([*command, str(config)], stdout=out, stderr=out))  # noqa: ASYNC220
            await _listens(processes[-1], paths[name])
        yield paths
    finally:
        server.close()
        for process in processes:
            process.terminate()
            process.wait(PATIENCE)
