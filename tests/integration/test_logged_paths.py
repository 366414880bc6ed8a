"""The access log names the path of every request, also of those that go nowhere; never its query, never a password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tests.support.serving import serving
from tests.support.waiting import until
from tests.support.wire import caller, replies, upstream

POLICY = """
version: 1
upstreams:
  api: {url: "http://127.0.0.1:%d", prefix: /api}
  own: {url: "http://127.0.0.1:9", prefix: /own}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

LOGGED: list[tuple[bytes, int, str]] = [
    (b"/api/a/./b?key=secret", 200, "/a/b"),
    (b"/nowhere/a%20b?key=secret", 404, "/nowhere/a%20b"),
    (b"http://a/nowhere/x?key=secret", 404, "/nowhere/x"),
    (b"http://a?key=secret", 404, ""),
    (b"http://user:password@a/x?key=secret", 400, "/x"),
    (b"/api/../../x?key=secret", 400, "/api/../../x"),
    (b"/own/x?key=secret", 503, "/x"),
]
"""A target, the status it gets, and the path that is logged: behind the mount where there is one."""


async def test_the_path_is_logged(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    async with upstream(replies(OK)) as up:
        policy.write_text(POLICY % up.port)
        async with serving(str(policy), tmp_path) as served:
            for target, status, path in LOGGED:
                async with caller(urlsplit(served.url).port or 0) as side:
                    side.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
                    assert (await side.head()).startswith(b"HTTP/1.1 %d " % status)
                await until(lambda: served.log)
                line = served.log.pop()
                assert (line["status"], line["path"]) == (status, path)
                assert "secret" not in str(line) and "password" not in str(line)
