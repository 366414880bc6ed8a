"""The fake E2B's listings: filters, order, pages. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, parse_qsl, unquote_plus

from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_model import Sandbox, State
from proxy.fakes.server import Refused, Reply

PAGE: Final = 100  # the largest page, and the default
STATES: Final = frozenset({"running", "paused"})


@dataclass(frozen=True, slots=True)
class Query:
    """A listing's parameters."""

    metadata: tuple[tuple[str, str], ...]
    states: frozenset[str]
    ascending: bool
    limit: int
    after: tuple[float, str] | None
    template: str | None


def parse(text: str) -> Query:
    """Read the (undecoded) query string of ``GET /v2/sandboxes``; raises a 400 for what it cannot read."""
    said = parse_qs(text)
    states = frozenset(s for value in said.get("state", []) for s in value.split(",") if s)
    limit = _first(said, "limit") or str(PAGE)
    if not states <= STATES or not limit.isdigit() or not 1 <= int(limit) <= PAGE:
        raise Refused(error(400, "Error when parsing request: invalid state or limit"))
    return Query(
        metadata=metadata(_first(said, "metadata")),
        states=states or STATES,
        ascending=_first(said, "order") == "asc",
        limit=int(limit),
        after=_position(_first(said, "nextToken")),
        template=_first(said, "template") or None,
    )


def _first(said: dict[str, list[str]], name: str) -> str:
    return said.get(name, [""])[0]


def metadata(text: str) -> tuple[tuple[str, str], ...]:
    """The metadata filter: a query string inside a query string, whose parts SDKs encode once more."""
    return tuple((unquote_plus(name), unquote_plus(value)) for name, value in parse_qsl(text, keep_blank_values=True))


def page(sandboxes: Iterable[Sandbox], query: Query) -> Reply:
    """One page: newest first unless asked otherwise, ``X-Next-Token`` when there is more.

    ``X-Total-Running`` counts the running ones after the filters and before the paging. Sandboxes being
    killed or snapshotted are missing although they keep their places; pausing ones are shown as paused.
    """
    found = [s for s in sandboxes if s.visible and _matches(s, query)]
    running = sum(s.state is State.RUNNING for s in found)
    wanted = [s for s in found if ("running" if s.state is State.RUNNING else "paused") in query.states]
    wanted.sort(key=_key, reverse=not query.ascending)
    if query.after is not None:
        after = query.after
        wanted = [s for s in wanted if (_key(s) > after if query.ascending else _key(s) < after)]
    headers = {"X-Total-Running": str(running if "running" in query.states else 0)}
    if len(wanted) > query.limit:
        headers["X-Next-Token"] = _token(wanted[query.limit - 1])
    return Reply(200, [s.listed() for s in wanted[: query.limit]], headers)


def old(sandboxes: Iterable[Sandbox], text: str) -> Reply:
    """``GET /sandboxes``, deprecated: running ones only, all of them, no headers."""
    wanted = metadata(_first(parse_qs(text), "metadata"))
    running = [s for s in sandboxes if s.state is State.RUNNING and _has(s, wanted)]
    return Reply(200, [s.listed() for s in sorted(running, key=_key, reverse=True)])


def _matches(sandbox: Sandbox, query: Query) -> bool:
    return _has(sandbox, query.metadata) and query.template in (None, sandbox.template)


def _has(sandbox: Sandbox, wanted: tuple[tuple[str, str], ...]) -> bool:
    return all(sandbox.metadata.get(name) == value for name, value in wanted)


def _key(sandbox: Sandbox) -> tuple[float, str]:
    return (sandbox.started_at, sandbox.id)


def _token(sandbox: Sandbox) -> str:
    return base64.urlsafe_b64encode(f"{sandbox.started_at!r}__{sandbox.id}".encode()).decode().rstrip("=")


def _position(token: str) -> tuple[float, str] | None:
    if not token:
        return None
    try:
        moment, _, sandbox_id = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("__")
        return (float(moment), sandbox_id)
    except ValueError as why:
        raise Refused(error(400, "Invalid next token")) from why
