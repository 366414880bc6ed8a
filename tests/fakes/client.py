"""A plain HTTP client for the tests of the fakes: one answer, read to its end. Not a test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

BASE = {"templateID": "base"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Client:
    """Calls a base URL with fixed headers."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> None:
        self._session, self._url, self._headers = session, url, headers

    async def __call__(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        said = {**self._headers, **(headers or {})}
        async with self._session.request(method, self._url + path, data=data, headers=said) as response:
            return Answer(response.status, response.headers, await response.read())

    async def create(self, path: str = "/v2/sandboxes", **body: Any) -> Answer:
        return await self("POST", path, BASE | body)

    async def made(self, **body: Any) -> str:
        """The id of a new sandbox."""
        answer = await self.create(**body)
        assert answer.status == 201, answer.raw
        return str(answer.json["sandboxID"])


@asynccontextmanager
async def client(url: str, **headers: str) -> AsyncIterator[Client]:
    """A client with a team's key, unless other headers are given (underscores become dashes)."""
    said = {name.replace("_", "-"): value for name, value in headers.items()} or {"X-API-Key": "e2b_aa"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, url, said)
