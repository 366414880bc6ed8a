"""A caller of the API server that shares nothing with the clients under test: one connection for each request."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

MERGE: Final = "application/merge-patch+json"
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, with the bytes as they were."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Refused(Exception):
    """A reply that is no success; the text is the server's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    """Speaks to the server at ``url`` with a bearer token. Blocks; from a coroutine use ``asyncio.to_thread``."""

    def __init__(self, url: str, authority: Path, token: str) -> None:
        self.url, self.authority, self.token = url, authority, token
        self._context = ssl.create_default_context(cafile=str(authority))

    def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """One request with any answer. ``body`` is sent as JSON. OSError where nobody answers."""
        fields = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **(headers or {})}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            fields.setdefault("Content-Type", "application/json")
        address = urlsplit(self.url).netloc
        connection = http.client.HTTPSConnection(address, context=self._context, timeout=SECONDS)
        try:
            connection.request(method, path, data, fields)
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """One request that succeeds: its JSON. ``Refused`` otherwise."""
        reply = self.send(method, path, body, headers)
        if reply.status >= 300:
            raise Refused(reply.status, reply.body.decode(errors="replace"))
        return reply.json

    def get(self, path: str) -> Any:
        """Read."""
        return self.call("GET", path)

    def post(self, path: str, body: object) -> Any:
        """Create."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: object, kind: str = MERGE) -> Any:
        """Change, with a merge patch unless said."""
        return self.call("PATCH", path, body, {"Content-Type": kind})

    def delete(self, path: str, *, grace: int | None = None) -> Any:
        """Delete; ``grace`` in seconds, 0 takes it away at once."""
        return self.call("DELETE", path, None if grace is None else {"gracePeriodSeconds": grace})
