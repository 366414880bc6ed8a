"""``auth: own`` on the wire: Headgate's token goes on, its callers' stay here, and nobody speaks for another."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Authority, server_context
from tests.support.wire import Running, Side, Upstream, caller, headgate, replies, upstream

POLICY = """
version: 1
upstreams:
  kube:
    url: "https://127.0.0.1:%(port)d"
    dialect: kubernetes
    tls: {ca_file: FOLDER/authority.pem}
    auth: {own: {token_file: FOLDER/token}}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[Running, Upstream, Side]]:
    context = server_context(Authority(folder).certificate("kube", "127.0.0.1"))
    async with (
        upstream(replies(OK), context) as up,
        headgate(up.port, POLICY.replace("FOLDER", str(folder))) as proxy,
        caller(proxy.port) as side,
    ):
        yield proxy, up, side


def get(*lines: str, host: str = "127.0.0.1:6443") -> bytes:
    return "\r\n".join(["GET /api/v1/namespaces/a/secrets HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


async def answer(side: Side) -> tuple[bytes, dict[str, object]]:
    """A refusal's status line and its document."""
    head = await side.head()
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head.partition(b"\r\n")[0], json.loads(await side.exactly(length))


async def test_our_token_goes_on_and_theirs_stays_here(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ours\n")
    async with stage(tmp_path) as (_, up, side):
        for lines in ((), ("Authorization: Bearer theirs",), ("authorization: Basic x", "Authorization: y", "A: b")):
            side.send(get(*lines))
            await side.until(b"\r\n\r\nok")
        heads = bytes(up.saw).split(b"\r\n\r\n")[:-1]
    for head in heads:
        credentials = [line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization")]
        assert credentials == [b"Authorization: Bearer ours"]
    assert heads[2].endswith(b"\r\nA: b\r\nAuthorization: Bearer ours")


async def test_a_new_token_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.pipeline.own_token._LOOK_EVERY", 0.0)
    (tmp_path / "token").write_text("first")
    async with stage(tmp_path) as (_, up, side):
        for token in ("first", "second"):
            (tmp_path / "new").write_text(token)
            os.replace(tmp_path / "new", tmp_path / "token")
            side.send(get())
            await side.until(b"\r\n\r\nok")
        assert b"Bearer first\r\n" in up.connections[0].received
        assert b"Bearer second\r\n" in up.connections[-1].received


async def test_without_a_token_nothing_is_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with stage(tmp_path) as (_, up, side):
        assert [record.levelname for record in caplog.records] == ["ERROR"], "it is told when the proxy starts"
        assert f"token file {tmp_path}/token: No such file" in caplog.text
        side.send(get("Authorization: Bearer theirs"))
        line, document = await answer(side)
        assert line.startswith(b"HTTP/1.1 503 ")
        assert document["reason"] == "ServiceUnavailable"
        assert "No such file or directory" in str(document["message"])
        assert up.saw == b""


@pytest.mark.parametrize(
    "claim",
    [
        "Impersonate-User: admin",
        "iMPERSONATE-gROUP: system:masters",
        "Impersonate-Extra-Scopes: a",
        "Impersonate_User: admin",
        "X-Remote-User: admin",
        "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9rZW4, v4.channel.k8s.io",
    ],
)
async def test_nobody_speaks_for_another(tmp_path: Path, claim: str) -> None:
    (tmp_path / "token").write_text("ours")
    async with stage(tmp_path) as (_, up, side):
        side.send(get(claim))
        line, document = await answer(side)
        assert line.startswith(b"HTTP/1.1 403 ")
        assert (document["kind"], document["reason"]) == ("Status", "Forbidden")
        assert "dG9rZW4" not in str(document)
        side.send(get())
        await side.until(b"\r\n\r\nok")
        assert up.saw.count(b"GET ") == 1


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        ("evil.example:8080", ()),
        ("127.0.0.1.evil.example", ()),
        ("127.0.0.1:6443", ("Origin: http://evil.example",)),
        ("localhost", ("Origin: null",)),
    ],
)
async def test_a_web_page_gets_nothing(tmp_path: Path, host: str, lines: tuple[str, ...]) -> None:
    (tmp_path / "token").write_text("ours")
    async with stage(tmp_path) as (_, up, side):
        side.send(get(*lines, host=host))
        line, document = await answer(side)
        assert line == b"HTTP/1.1 403 Forbidden"
        assert document["reason"] == "Forbidden"
        assert up.saw == b""


@pytest.mark.parametrize("host", ["localhost", "[::1]:6443", "127.0.0.9", "kubernetes.default.svc", "kubernetes"])
async def test_whoever_comes_by_a_name_of_this_machine_is_let_in(tmp_path: Path, host: str) -> None:
    (tmp_path / "token").write_text("ours")
    async with stage(tmp_path) as (_, _, side):
        side.send(get(host=host))
        await side.until(b"\r\n\r\nok")
