"""TLS to the upstream: whom Headgate trusts, who it says it is, and that the bytes inside do not change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.certificates import Authority, server_context
from tests.support.wire import Side, caller, happens, headgate, replies, upstream

GET = b"GET /a%2Fb?c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


def policy(host: str = "127.0.0.1", **tls: object) -> str:
    """A policy with an upstream over TLS."""
    said = ", ".join(f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in tls.items())
    api = f'{{url: "https://{host}:%(port)d", tls: {{{said}}}}}'
    return f"version: 1\nupstreams: {{api: {api}}}\ntimeouts: {{connect: 1s}}\n"


async def asked(port: int, text: str) -> bytes:
    """The reply to a request through a proxy with this policy."""
    async with headgate(port, text) as proxy, caller(proxy.port) as side:
        side.send(GET)
        head = await side.head()
        await side.until(b"ok" if head.startswith(b"HTTP/1.1 200") else b"}")
        return bytes(side.received)


async def test_a_trusted_upstream(authority: Authority) -> None:
    context = server_context(authority.certificate("plain", "127.0.0.1"))
    async with upstream(replies(OK), context) as up:
        assert (await asked(up.port, policy(ca_file=authority.file))).startswith(b"HTTP/1.1 200 OK\r\n")
        assert up.saw == b"GET /a%%2Fb?c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX: y\r\n\r\n" % up.port


async def test_connections_are_kept(authority: Authority) -> None:
    context = server_context(authority.certificate("kept", "127.0.0.1"))
    async with upstream(replies(OK), context) as up, headgate(up.port, policy(ca_file=authority.file)) as proxy:
        async with caller(proxy.port) as side:
            for _ in range(3):
                side.send(GET)
                await side.until(b"\r\n\r\nok")
        assert len(up.connections) == 1


async def test_an_unknown_authority_is_not_trusted(authority: Authority, folder: Path) -> None:
    other = Authority(folder, "other")
    context = server_context(other.certificate("unknown", "127.0.0.1"))
    async with upstream(replies(OK), context) as up:
        reply = await asked(up.port, policy(ca_file=authority.file))
        assert reply.startswith(b"HTTP/1.1 503 ") and b"certificate verify failed" in reply
        assert up.saw == b""


async def test_another_name_is_not_trusted(authority: Authority) -> None:
    context = server_context(authority.certificate("elsewhere", "elsewhere.example"))
    async with upstream(replies(OK), context) as up:
        assert (await asked(up.port, policy(ca_file=authority.file))).startswith(b"HTTP/1.1 503 ")
        assert up.saw == b""


async def test_the_name_to_ask_for_can_be_said(authority: Authority) -> None:
    names: list[str | None] = []
    context = server_context(authority.certificate("named", "api.example"))
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with upstream(replies(OK), context) as up:
        text = policy(ca_file=authority.file, server_name="api.example")
        assert (await asked(up.port, text)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert names == ["api.example"]


async def test_verification_can_be_left_out(authority: Authority) -> None:
    context = server_context(authority.certificate("anyone", "elsewhere.example"))
    async with upstream(replies(OK), context) as up:
        assert (await asked(up.port, policy(verify=False))).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_our_own_certificate_is_shown(authority: Authority) -> None:
    own = authority.certificate("headgate")
    context = server_context(authority.certificate("strict", "127.0.0.1"), callers=authority.file)
    async with upstream(replies(OK), context) as up:
        assert (await asked(up.port, policy(ca_file=authority.file, client_cert_file=own))).startswith(b"HTTP/1.1 200 ")
        with_none = await asked(up.port, policy(ca_file=authority.file))
        assert with_none[:12] in (b"HTTP/1.1 502", b"HTTP/1.1 503")  # TLS 1.3 tells after the handshake
        assert up.saw.count(b"GET ") == 1


async def test_a_file_that_is_not_there(authority: Authority, folder: Path) -> None:
    context = server_context(authority.certificate("no-file", "127.0.0.1"))
    async with upstream(replies(OK), context) as up:
        reply = await asked(up.port, policy(ca_file=folder / "missing.pem"))
        assert reply.startswith(b"HTTP/1.1 503 ") and b"No such file" in reply


async def test_a_handshake_that_never_ends() -> None:
    """The connect timeout covers it, and nothing stays open."""

    async def script(side: Side) -> None:
        await side.rest()

    async with upstream(script) as up, headgate(up.port, policy(verify=False)) as proxy, caller(proxy.port) as side:
        side.send(GET)
        head = await side.head()
        assert head.startswith(b"HTTP/1.1 503 ") and b"no connection within 1 s" in head
        await (await up.connection()).ended.wait()
        await happens(lambda: proxy.app.connections.open == 0)


async def test_http_1_1_is_asked_for(authority: Authority) -> None:
    """An upstream that could speak HTTP/2 must be told that we do not."""
    context = server_context(authority.certificate("alpn", "127.0.0.1"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with upstream(replies(OK), context) as up, headgate(up.port, policy(ca_file=authority.file)) as proxy:
        async with caller(proxy.port) as side:
            side.send(GET)
            await side.until(b"\r\n\r\nok")
        chosen = (await up.connection()).writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "http/1.1"


async def test_a_plain_upstream_where_tls_was_said() -> None:
    async with upstream(replies(OK)) as up:
        assert (await asked(up.port, policy(verify=False))).startswith(b"HTTP/1.1 503 ")


async def test_a_big_body_and_a_tunnel(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    context = server_context(authority.certificate("big", "127.0.0.1"))
    size = 8 << 20

    async def script(side: Side) -> None:
        while b"Upgrade" not in await side.head():
            await side.exactly(size)
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        side.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello")
        side.send(await side.exactly(4))

    async with upstream(script, context) as up, headgate(up.port, policy(ca_file=authority.file)) as proxy:
        async with caller(proxy.port) as side:
            side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
            await side.head()
            assert await side.exactly(size) == bytes(size)
        async with caller(proxy.port) as side:
            side.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            await side.head()
            side.send(b"ping")
            assert await side.rest() == b"helloping"
    assert caplog.records == []


ENDS = {
    "reply": (b"", b"HTTP/1.1 200 OK\r\n\r\n"),
    "tunnel": (
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("fields", "head"), ENDS.values(), ids=ENDS)
async def test_all_of_it_and_its_end_at_once(authority: Authority, fields: bytes, head: bytes) -> None:
    """Several records and the end in one read: everything is over before anybody could ask for the body."""
    context = server_context(authority.certificate("at-once", "127.0.0.1"))

    async def script(side: Side) -> None:
        await side.head()
        side.send(head + b"all of it")

    async with upstream(script, context) as up, headgate(up.port, policy(ca_file=authority.file)) as proxy:
        for _ in range(20):
            async with caller(proxy.port) as side:
                side.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
                assert (await side.rest()).endswith(b"\r\n\r\nall of it")


async def test_an_upstream_that_dies_in_a_reply_is_noticed(authority: Authority) -> None:
    context = server_context(authority.certificate("dies", "127.0.0.1"))
    go, text = asyncio.Event(), policy(ca_file=authority.file)

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await side.drain()
        await go.wait()
        side.cut()

    async with upstream(script, context) as up, headgate(up.port, text) as proxy, caller(proxy.port) as side:
        side.send(GET)
        await side.until(b"half")
        go.set()
        assert await side.rest() == b""
