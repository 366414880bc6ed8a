"""One request to the fake E2B API after it was let in, and what its handlers may ask of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.fakes.e2b_faults import error
from proxy.fakes.server import Refused


@dataclass(frozen=True, slots=True)
class Ask:
    """A request whose body was read and whose team is known."""

    request: web.Request
    team: str
    raw: bytes

    @property
    def id(self) -> str:
        """The sandbox id of the path."""
        return self.request.match_info["id"]

    @property
    def v2(self) -> bool:
        """Whether it came to the ``/v2`` form of the route."""
        return self.request.path.startswith("/v2/")

    def body(self) -> dict[str, Any]:
        """The JSON object sent; an empty body is an empty object. Raises a 400 for anything else."""
        if not self.raw.strip():
            return {}
        try:
            said = json.loads(self.raw)
        except ValueError as why:
            raise Refused(error(400, f"Error when parsing request: {why}")) from why
        if not isinstance(said, dict):
            raise Refused(error(400, "Error when parsing request: not an object"))
        return said

    def seconds(self, name: str, *, default: int | None, most: int) -> int:
        """Whole seconds from the body; a ``default`` of ``None`` makes them required. Raises a 400."""
        value = self.body().get(name, default)
        if value is None:
            raise Refused(error(400, f"Error when parsing request: {name} is required"))
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Refused(error(400, f"Error when parsing request: {name} must be a non-negative integer"))
        if value > most:
            raise Refused(error(400, f"Timeout cannot be greater than {most // 3600} hours"))
        return value
