"""Carry one letter over HTTP: no redirects, no proxies from the environment, no cookies, a small reply.

Knows nothing of beats and sinks. Never logs: URLs and headers may hold secrets.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from proxy import __version__
from proxy.couriers.recipe import Letter
from proxy.domain.ids import Seconds

REPLY_READ: Final = 64 * 1024
"""Bytes of a reply that are read, and dropped, so that its connection can be used again."""

LOOKUPS: Final = 4
"""Names looked up at once. Threads of our own: a dead name server must not hold up the upstreams' names."""

DNS_KEPT: Final = 10
"""Seconds a looked-up name is kept."""


class NoReply(Exception):
    """The letter got no answer; the text is a kind of error (``ConnectionRefusedError``), never a URL."""


class _Resolver(AbstractResolver):
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="courier-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        flags = socket.AI_ADDRCONFIG
        look = lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags)  # noqa: E731
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpCarrier:
    """A client session, made on first use. How much goes where is bounded by :mod:`.receivers`, not here."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def carry(self, letter: Letter, timeout: Seconds) -> int:
        """The status of the reply, or :class:`NoReply` after at most ``timeout``.

        Cancelled: the connection is closed before this returns.
        """
        try:
            async with self._open().request(
                letter.method,
                URL(letter.url, encoded=True),
                headers=letter.headers,
                data=letter.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                await _drop(response)
                return response.status
        except TimeoutError:  # aiohttp's comes from the cancellation that it ends the request with
            raise NoReply(TimeoutError.__name__) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            raise NoReply(type(cause).__name__) from None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=DNS_KEPT, resolver=_Resolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"headgate/{__version__}"},
                skip_auto_headers=("Accept-Encoding",),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _drop(response: aiohttp.ClientResponse) -> None:
    """Read the body's beginning. What goes wrong here is no matter: the status is known."""
    left = REPLY_READ
    try:
        while left > 0:
            chunk = await response.content.read(left)
            if not chunk:
                return
            left -= len(chunk)
    except (aiohttp.ClientError, OSError):
        pass
    response.close()
