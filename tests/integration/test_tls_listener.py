"""``tls: auto``: real clients over TLS, the authority that outlives restarts, and what must not disturb."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import socket
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from tests.support.serving import ROOT, serving
from tests.support.tls_listener import Secured, secured, tls_caller, trusting
from tests.support.wire import Script, Side, Upstream, caller, replies, upstream

GET = b"GET /a%2Fb?c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def talking(folder: Path, script: Script, timeouts: str = "{}") -> AsyncIterator[tuple[Secured, Upstream]]:
    async with upstream(script) as up, secured(up.port, folder, timeouts=timeouts) as proxy:
        yield proxy, up


async def number_shown(proxy: Secured) -> bytes:
    """The serial number of the certificate that a new connection is shown."""
    async with tls_caller(proxy.port, proxy.trust) as side:
        peer = side.writer.get_extra_info("peercert")
        return str(peer["serialNumber"]).encode()


# -- clients -------------------------------------------------------------------------------------------
async def test_by_every_name_it_may_have(tmp_path: Path) -> None:
    names = ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    async with talking(tmp_path, replies(OK)) as (proxy, up):
        for name in (*names, "kubernetes.default.svc.cluster.local", socket.gethostname()):
            async with tls_caller(proxy.port, proxy.trust, name=name) as side:
                side.send(GET)
                await side.until(b"\r\n\r\nok")
        assert up.saw.startswith(b"GET /a%%2Fb?c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX: y\r\n\r\n" % up.port)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with tls_caller(proxy.port, proxy.trust, name="elsewhere.example"):
                pass
        with pytest.raises(ssl.SSLCertVerificationError):
            async with tls_caller(proxy.port, ssl.create_default_context()):
                pass


async def test_aiohttp_over_one_kept_connection(tmp_path: Path) -> None:
    async def script(side: Side) -> None:
        while b"HTTP/1.1" in await side.head():
            size = len(await side.exactly(200_000))
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async with talking(tmp_path, script) as (proxy, up), aiohttp.ClientSession() as session:
        for _ in range(3):
            url = f"https://127.0.0.1:{proxy.port}/x"
            async with session.post(url, data=bytes(200_000), ssl=proxy.trust) as reply:
                assert await reply.read() == bytes(200_000)
        assert len(up.connections) == 1 and proxy.app.front.connected == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_which_would_rather_speak_http_2(tmp_path: Path) -> None:
    async with talking(tmp_path, replies(OK)) as (proxy, _):
        arguments = ["-sS", "--http2", "-w", " %{http_version}", "--cacert", str(tmp_path / "tls" / "ca.crt")]
        process = await asyncio.create_subprocess_exec(
            "curl", *arguments, f"https://127.0.0.1:{proxy.port}/", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert out == b"ok 1.1"


async def test_only_http_1_1_is_agreed_on(tmp_path: Path) -> None:
    async with talking(tmp_path, replies(OK)) as (proxy, _):
        for offered, agreed in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"), (["h2"], None)):
            context = trusting(tmp_path)
            context.set_alpn_protocols(offered)
            async with tls_caller(proxy.port, context) as side:
                assert side.writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
                if agreed is None:  # it speaks HTTP/2 whatever was agreed on, and is told that it is not understood
                    side.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                    assert (await side.rest()).startswith(b"HTTP/1.1 505 ")


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    async with talking(tmp_path, replies(OK)) as (proxy, _):
        context = trusting(tmp_path)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with tls_caller(proxy.port, context):
                pass


async def test_a_callers_certificate_ends_here(tmp_path: Path) -> None:
    """It is not asked for, and nothing of it reaches the upstream."""
    async with talking(tmp_path, replies(OK)) as (proxy, up):
        context = trusting(tmp_path)
        context.load_cert_chain(tmp_path / "tls" / "server-127.0.0.1.pem")
        async with tls_caller(proxy.port, context) as side:
            side.send(GET)
            await side.until(b"\r\n\r\nok")
        assert b"ert" not in up.saw


# -- what is no TLS ------------------------------------------------------------------------------------
async def test_plain_http_gets_an_end_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(tmp_path, replies(OK)) as (proxy, up):
        for sent in (GET, b"\x16\x03\x01\x00\x05hello", b"\x00" * 1000):
            async with caller(proxy.port) as side:
                side.send(sent)
                assert b"HTTP" not in await side.rest()
        assert (proxy.app.front.connected, up.connections) == (0, [])
    assert caplog.records == []


async def test_a_handshake_that_never_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(tmp_path, replies(OK), "{header: 300ms}") as (proxy, _):
        async with caller(proxy.port) as silent, caller(proxy.port) as slow:
            slow.send(b"\x16\x03\x01\x02\x00\x01")
            assert await silent.rest() == await slow.rest() == b""
        assert await number_shown(proxy)
    assert caplog.records == []


async def test_a_handshake_under_way_when_all_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as callers, talking(tmp_path, replies(OK)) as (proxy, _):
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
            side = await callers.enter_async_context(caller(proxy.port))
            side.send(sent)
        await number_shown(proxy)
    assert caplog.records == []


# -- what outlives the process -------------------------------------------------------------------------
async def test_two_restarts_keep_authority_and_certificate(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    seen = set()
    for _ in range(3):
        async with talking(state, replies(OK)) as (proxy, _):
            seen.add((await number_shown(proxy), (state / "tls" / "ca.crt").read_bytes()))
    assert len(seen) == 1
    for path in (state, state / "tls"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    files = sorted(path.name for path in (state / "tls").iterdir())
    assert files == ["authority.pem", "ca.crt", "server-127.0.0.1.pem"]
    for name in files:
        assert stat.S_IMODE((state / "tls" / name).stat().st_mode) == 0o600
    assert b"PRIVATE" not in (state / "tls" / "ca.crt").read_bytes()


async def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """They wait for one another, then all make what is not there."""
    program = (
        "import datetime, pathlib, sys\n"
        "from proxy.certificates.authority import Authority\n"
        "from proxy.state import load_salt\n"
        "print(flush=True)\n"
        "sys.stdin.readline()\n"
        "folder, now = pathlib.Path(sys.argv[1]), datetime.datetime.now(datetime.UTC)\n"
        "authority = Authority(folder, now)\n"
        "authority.server('127.0.0.1', now)\n"
        "print(authority.pem.hex(), load_salt(folder).hex())\n"
    )
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path / "state"), cwd=ROOT, stdin=pipe, stdout=pipe
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout is not None and await process.stdout.readline() == b"\n"
    said = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert len({out for out, _ in said}) == 1 and len(said[0][0]) > 500
    assert not list((tmp_path / "state").rglob(".*")), "nothing half made is left"


async def test_a_certificate_is_renewed_under_its_listener(tmp_path: Path) -> None:
    """Connections that stand go on; whoever comes later sees the new one, signed by the same authority."""
    now = datetime.datetime.now(datetime.UTC)
    async with talking(tmp_path, replies(OK)) as (proxy, _):
        first, authority = await number_shown(proxy), (tmp_path / "tls" / "ca.crt").read_bytes()
        async with tls_caller(proxy.port, proxy.trust) as side:
            await proxy.app.certificates.renew(now + datetime.timedelta(days=200))
            assert await number_shown(proxy) == first
            await proxy.app.certificates.renew(now + datetime.timedelta(days=250))
            pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", proxy.port))
            shown = x509.load_pem_x509_certificate(pem.encode())
            shown.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
            assert shown.serial_number != int(first, 16)
            assert (tmp_path / "tls" / "ca.crt").read_bytes() == authority
            side.send(GET)
            await side.until(b"\r\n\r\nok")


async def test_what_cannot_be_renewed_is_logged_and_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(tmp_path, replies(OK)) as (proxy, _):
        first = await number_shown(proxy)
        (tmp_path / "tls" / "authority.pem").write_bytes(b"nonsense")
        await proxy.app.certificates.renew(datetime.datetime.now(datetime.UTC))
        assert await number_shown(proxy) == first
    assert "is no authority; delete it" in caplog.text


POLICY = """
version: 1
upstreams: {kube: {url: "https://127.0.0.1:9", listen: {address: "127.0.0.1:0", tls: auto}}}
"""


async def test_a_real_process_says_where_it_listens_and_drains(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with serving(str(tmp_path / "policy.yaml"), tmp_path / "state") as served:
        announced = next(line for line in served.said if line.startswith("headgate: "))
        port = int(announced.partition(", https://127.0.0.1:")[2].partition(" -> kube;")[0])
        async with tls_caller(port, trusting(tmp_path / "state")) as side:
            side.send(GET)
            assert (await side.head()).startswith(b"HTTP/1.1 503 ")
            served.process.terminate()
            await side.ended.wait()
            assert await served.ended() == 0
    assert not [line for line in served.said if "rror" in line], served.said


async def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "file").write_text("")
    environment = {"HEADGATE_SALT": "0123456789abcdef"}
    with pytest.raises(AssertionError, match="set HEADGATE_STATE_DIR to a folder that can be written"):
        async with serving(str(tmp_path / "policy.yaml"), tmp_path / "file" / "state", **environment):
            pass
