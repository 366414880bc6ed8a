"""The access log names the path of every request, also of those that go nowhere; never its query, never a password."""

from __future__ import annotations

import pytest

from proxy.ports import RequestRecord
from tests.support.proxies import running
from tests.support.waiting import until
from tests.support.wire import caller, replies, upstream

POLICY = """
version: 1
upstreams:
  api: {url: "http://127.0.0.1:%d", prefix: /api}
  own: {url: "http://127.0.0.1:9", prefix: /own}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

LOGGED = {
    "mounted": (b"/api/a/./b?key=secret", 200, "/a/b"),
    "not mounted": (b"/nowhere/a%20b?key=secret", 404, "/nowhere/a%20b"),
    "not mounted, absolute": (b"http://a/nowhere/x?key=secret", 404, "/nowhere/x"),
    "absolute without a path": (b"http://a?key=secret", 404, ""),
    "absolute with a password": (b"http://user:password@a/x?key=secret", 400, "/x"),
    "leaves its mount": (b"/api/../../x?key=secret", 400, "/api/../../x"),
    "upstream not there": (b"/own/x?key=secret", 503, "/x"),
}


@pytest.mark.parametrize(("target", "status", "path"), LOGGED.values(), ids=LOGGED)
async def test_the_path_is_logged(target: bytes, status: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[RequestRecord] = []
    async with upstream(replies(OK)) as up, running(POLICY % up.port) as proxy:
        monkeypatch.setattr(proxy.app.metrics, "finished", records.append)
        async with caller(proxy.addresses.main[1]) as side:
            side.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            assert (await side.head()).startswith(b"HTTP/1.1 %d " % status)
            await until(lambda: records)
    assert [(record.status, record.path) for record in records] == [(status, path)]
