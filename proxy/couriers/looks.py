"""Looks at the upstreams themselves: small requests of Headgate's own, their replies read whole.

Connections of their own, kept between looks: nothing here waits for requests, and no request waits for a look. No
redirects, no proxies from the environment, no cookies. Never logs: heads hold credentials.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

import aiohttp
from yarl import URL

from proxy import __version__
from proxy.dialects.translation import LONGEST_WHOLE
from proxy.domain.messages import RequestHead, ResponseHead
from proxy.policy.policyset import UpstreamTls
from proxy.ports import Destination, Sight

TIMEOUT: Final = 10.0
"""Seconds for a whole look. An API server that takes longer than this to show one pod is in trouble enough."""

_AUTOMATIC: Final = ("Accept", "Accept-Encoding", "Content-Type")
"""What aiohttp would add, and the API server answer by (kubernetes.md §10.4)."""

MakeContext = Callable[[UpstreamTls], ssl.SSLContext]
"""Makes the TLS context for an upstream. OSError or SSLError where a file cannot be used."""


class HttpLooker:
    """Implements :class:`~proxy.ports.Looker`. Sessions are made on first use; belongs to one event loop."""

    def __init__(self, context: MakeContext) -> None:
        self._make_context = context
        self._contexts: dict[UpstreamTls, ssl.SSLContext] = {}
        self._session: aiohttp.ClientSession | None = None

    async def look(self, destination: Destination, head: RequestHead) -> Sight | None:
        """See :meth:`proxy.ports.Looker.look`. Gives up after :data:`TIMEOUT` seconds."""
        origin, tls = destination.origin, destination.upstream.tls
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        url = URL(f"{origin.scheme}://{host}:{origin.port}{head.target.decode('ascii')}", encoded=True)
        try:
            async with self._open().request(
                head.method,
                url,
                headers=_fields(head),
                allow_redirects=False,
                ssl=self._context(tls) if origin.scheme == "https" else False,
                server_hostname=tls.server_name if origin.scheme == "https" else None,
            ) as response:
                body = await _whole(response)
                return None if body is None else Sight(_head(response), body)
        except (aiohttp.ClientError, OSError, ValueError):  # OSError: TimeoutError and SSLError too
            return None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"headgate/{__version__}"},
                skip_auto_headers=_AUTOMATIC,
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                max_line_size=64 * 1024,
                max_field_size=64 * 1024,
            )
        return self._session

    def _context(self, tls: UpstreamTls) -> ssl.SSLContext:
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = self._make_context(tls)
        return context


def _fields(head: RequestHead) -> list[tuple[str, str]]:
    lines = (line.partition(b":") for line in head.lines)
    return [(name.decode("ascii"), value.strip().decode()) for name, _, value in lines]


def _head(response: aiohttp.ClientResponse) -> ResponseHead:
    raw = b"".join(b"%s: %s\r\n" % field for field in response.raw_headers)
    return ResponseHead(response.status, b"HTTP/1.1 %d" % response.status, 1, raw)


async def _whole(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is longer than a pod can be. What is left of it is not read: the connection is closed."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LONGEST_WHOLE:
            response.close()
            return None
    return bytes(body)
