"""git over HTTP, both kinds: a server of plain files, and git's own that speaks with the client."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.wire import headgate

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

BIG = bytes(range(256)) * 12_000 + os.urandom(3 << 20)
"""6 MB, half of which nothing compresses: git sends it in chunks."""


class Git:
    """git, with nothing of its user's settings, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            timeout=60,
            check=False,
            env=self.environment,
            cwd=self.folder,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, clone: str, name: str, content: bytes) -> None:
        (self.folder / clone / name).write_bytes(content)
        self.run("-C", clone, "add", name)
        self.run("-C", clone, "commit", "-q", "-m", name)

    async def backend(self, request: web.Request) -> web.StreamResponse:
        """git http-backend, as any web server runs it (CGI/1.1)."""
        own = {
            "GIT_PROJECT_ROOT": str(self.folder / "served"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "a",
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=pipe, stdout=pipe, env={**self.environment, **own}
        )
        said, _ = await process.communicate(await request.read())
        head, _, body = said.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        reply = web.StreamResponse(status=status, headers=fields)  # without a length: in chunks
        await reply.prepare(request)
        await reply.write(body)
        return reply


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """With a repository that is served."""
    own = Git(tmp_path)
    own.run("init", "-q", "-b", "main", "origin")
    own.commit("origin", "big", BIG)
    own.run("clone", "-q", "--bare", "origin", "served/repo.git")
    own.run("-C", "served/repo.git", "config", "http.receivepack", "true")
    own.run("-C", "served/repo.git", "update-server-info")
    return own


@asynccontextmanager
async def through(app: web.Application) -> AsyncIterator[str]:
    """The base URL of a server behind Headgate."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with headgate(runner.addresses[0][1]) as proxy:
            yield f"http://127.0.0.1:{proxy.port}"
    finally:
        await runner.cleanup()


async def test_a_clone_from_plain_files(git: Git, tmp_path: Path) -> None:
    app = web.Application()
    app.router.add_static("/", tmp_path / "served")
    async with through(app) as base:
        await asyncio.to_thread(git.run, "clone", "-q", f"{base}/repo.git", "clone")
    assert (tmp_path / "clone" / "big").read_bytes() == BIG


async def test_clone_push_and_pull(git: Git, tmp_path: Path) -> None:
    """Requests in chunks and gzipped, replies in chunks, and a 100 before a big push."""
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{rest:.*}", git.backend)

    def work(base: str) -> None:
        url = f"{base}/repo.git"
        git.run("clone", "-q", url, "one")
        git.run("clone", "-q", "--depth", "1", url, "two")
        git.commit("one", "more", BIG[::-1])
        git.run("-C", "one", "push", "-q", "origin", "main")
        git.run("-C", "two", "pull", "-q")

    async with through(app) as base:
        await asyncio.to_thread(work, base)
    assert (tmp_path / "two" / "big").read_bytes() == BIG
    assert (tmp_path / "two" / "more").read_bytes() == BIG[::-1]
    assert git.run("-C", "served/repo.git", "rev-parse", "main") == git.run("-C", "one", "rev-parse", "HEAD")
