"""Looks at upstreams: what goes out, what comes back, and that nothing stays open."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from proxy.couriers import looks
from proxy.couriers.looks import HttpLooker
from proxy.dialects.translation import LONGEST_WHOLE
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.policy.policyset import Origin, Upstream, UpstreamTls
from proxy.ports import Destination
from tests.couriers.receiver import Answer, Receiver, receiving, status
from tests.support.certificates import Authority, server_context

POD = b'{"kind":"Pod"}'


def destination(url: str, tls: UpstreamTls | None = None) -> Destination:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition(":")
    origin = Origin(scheme, host, int(port))
    upstream = Upstream(UpstreamName("kube"), origin, "kubernetes", tls=tls or UpstreamTls())
    return Destination(upstream, origin, None, frozenset(), b"")


def get(target: str = "/api/v1/namespaces/n/pods/p", *lines: str) -> RequestHead:
    return RequestHead("GET", target.encode(), 1, "".join(f"{line}\r\n" for line in ("Host: api", *lines)).encode())


def no_tls(tls: UpstreamTls) -> ssl.SSLContext:
    raise AssertionError("nobody asked for TLS")


@asynccontextmanager
async def looking(make: looks.MakeContext = no_tls) -> AsyncIterator[HttpLooker]:
    looker = HttpLooker(make)
    try:
        yield looker
    finally:
        await looker.close()


def body(text: bytes, **headers: str) -> Answer:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=text, headers=headers)

    return answer


async def test_the_head_goes_as_it_is_and_the_reply_comes_whole() -> None:
    async with receiving(
        body(POD, **{"X-Kubernetes-PF-FlowSchema-UID": "u", "Content-Type": "application/json"})
    ) as api:
        async with looking() as looker:
            target = "/api/v1/namespaces/n/pods/p%2Fq?a=%2C"
            sight = await looker.look(destination(api.url), get(target, "Authorization: Bearer x", "Accept: a/b"))
        assert sight is not None
        assert (sight.head.status, sight.body) == (200, POD)
        assert sight.head.get(b"content-type") == b"application/json"
        assert sight.head.get(b"x-kubernetes-pf-flowschema-uid") == b"u"
        assert api.targets == [target]
        (fields,) = api.headers
        assert fields.pop("user-agent").startswith("headgate/")
        assert fields == {"host": "api", "authorization": "Bearer x", "accept": "a/b"}, "and nothing else is added"


@pytest.mark.parametrize("code", [302, 401, 404, 429, 500])
async def test_other_replies_come_back_too_and_nothing_is_followed(code: int) -> None:
    async with receiving(status(code, Location="/elsewhere", **{"Retry-After": "7"})) as api, looking() as looker:
        sight = await looker.look(destination(api.url), get())
        assert sight is not None
        assert sight.head.status == code
        assert sight.head.get(b"retry-after") == b"7"
        assert len(api.targets) == 1


async def test_a_coded_body_stays_coded() -> None:
    packed = gzip.compress(POD)
    async with receiving(body(packed, **{"Content-Encoding": "gzip"})) as api, looking() as looker:
        sight = await looker.look(destination(api.url), get())
    assert sight is not None
    assert sight.body == packed


@pytest.mark.parametrize(("size", "comes"), [(LONGEST_WHOLE, True), (LONGEST_WHOLE + 1, False)])
async def test_what_is_longer_than_any_pod_is_nothing(size: int, comes: bool) -> None:
    async with receiving(body(b"x" * size)) as api, looking() as looker:
        sight = await looker.look(destination(api.url), get())
        assert (sight is not None) is comes


async def test_no_reply_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "TIMEOUT", 0.2)
    released = asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await released.wait()
        raise AssertionError("its connection is closed before")

    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with looking() as looker:
        assert await looker.look(destination("http://127.0.0.1:1"), get()) is None, "nobody listens there"
        for answer in (never, broken):
            async with receiving(answer) as api:
                assert await looker.look(destination(api.url), get()) is None
    async with looking() as looker:
        assert await looker.look(destination("http://127.0.0.1:1"), get("/", "X: \N{SNOWMAN}\x00")) is None


async def test_a_cancelled_look_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return web.Response()

    async with receiving(never) as api, looking() as looker:
        look = asyncio.ensure_future(looker.look(destination(api.url), get()))
        await api.count(1)
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
        await asyncio.wait_for(gone.wait(), 30)


async def test_looks_use_a_connection_again() -> None:
    ports = set()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.Response(body=POD)

    async with receiving(answer) as api, looking() as looker:
        for _ in range(5):
            assert await looker.look(destination(api.url), get()) is not None
    assert len(ports) == 1


@asynccontextmanager
async def over_tls(context: ssl.SSLContext) -> AsyncIterator[Receiver]:
    seen = Receiver()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.headers.append(dict(request.headers))
        return web.Response(body=POD)

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    seen.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield seen
    finally:
        await runner.cleanup()


async def test_tls_by_the_upstreams_own_words(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    server = ours.certificate("api.example", "api.example")
    client = ours.certificate("headgate")
    named = UpstreamTls(str(ours.file), str(client), None, server_name="api.example")
    made: list[UpstreamTls] = []

    def context(tls: UpstreamTls) -> ssl.SSLContext:
        made.append(tls)
        built = ssl.create_default_context(cafile=tls.ca_file)
        if tls.client_cert_file is not None:
            built.load_cert_chain(tls.client_cert_file)
        return built

    async with over_tls(server_context(server, callers=ours.file)) as api, looking(context) as looker:
        for _ in range(2):
            sight = await looker.look(destination(api.url, named), get())
            assert sight is not None
            assert sight.body == POD
        assert await looker.look(destination(api.url, replace(named, server_name=None)), get()) is None, "another name"
        assert await looker.look(destination(api.url, replace(named, client_cert_file=None)), get()) is None
        assert len(api.headers) == 2
        assert len(made) == 3, "one context for one way of trusting"


async def test_a_tls_file_that_is_gone_is_no_reply() -> None:
    def context(tls: UpstreamTls) -> ssl.SSLContext:
        raise FileNotFoundError(2, "No such file")

    async with looking(context) as looker:
        assert await looker.look(destination("https://127.0.0.1:1"), get()) is None
