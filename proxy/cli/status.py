"""``headgate status``: limits, queues and who waits for what, from a running proxy's admin listener.

Reads one document, ``/api/v1/state``. What it shows came from callers in part (tenants, header values), so
nothing of it reaches the terminal but printable text.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.admin.state import LimitState, State, TicketState

TIMEOUT: Final = 5.0
"""Seconds for an answer."""

REFRESH: Final = 1.0
"""Seconds between two looks with ``--watch``."""

_LARGEST: Final = 16 * 1024 * 1024


class StatusError(Exception):
    """The state cannot be had; the text is one line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    usual = os.environ.get("HEADGATE_ADMIN", "127.0.0.1:9090")
    parser.add_argument("--admin", metavar="URL", default=usual, help=f"the proxy's admin listener ({usual})")
    parser.add_argument("--watch", action="store_true", help="keep showing until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Show the state once, or until Ctrl-C. Returns 0, or 1 with one line on standard error."""
    token = os.environ.get("HEADGATE_ADMIN_TOKEN", "")

    def look() -> State:
        return fetch_state(arguments.admin, token)

    try:
        if arguments.watch:
            _watch(look, Console())
        else:
            Console().print(render(look()))
    except StatusError as error:
        sys.stderr.write(f"headgate status: {error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def fetch_state(admin: str, token: str) -> State:
    """The state of the proxy whose admin listener is there; StatusError in one line. No proxies, no redirects."""
    url = _parse(admin)
    where = f"{url.scheme}://{url.netloc}"
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT)
    try:
        connection.request(
            "GET",
            url.path.rstrip("/") + "/api/v1/state",
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        reply = connection.getresponse()
        body = reply.read(_LARGEST)
    except ConnectionRefusedError:
        raise StatusError(f"nothing listens at {where}; is headgate serve running there?") from None
    except (OSError, HTTPException, ValueError) as error:
        raise StatusError(f"no answer from {where}: {_clean(str(error)) or type(error).__name__}") from None
    finally:
        connection.close()
    return _read(reply.status, body, where)


def _parse(admin: str) -> SplitResult:
    try:
        url = urlsplit(admin if "://" in admin else f"http://{admin}")
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme not in ("http", "https") or not host:
        raise StatusError(f'"{_clean(admin)}" is no address; write for example http://127.0.0.1:9090')
    if host in ("0.0.0.0", "::"):  # where it listens (HEADGATE_ADMIN), not where to go
        local = "127.0.0.1" if host == "0.0.0.0" else "[::1]"
        url = url._replace(netloc=local if port is None else f"{local}:{port}")
    return url


def _read(status: int, body: bytes, where: str) -> State:
    if status == 401:
        raise StatusError(f"{where} wants a token: set HEADGATE_ADMIN_TOKEN to the one it was started with")
    if status != 200:
        words = _clean(body[:200].decode("utf-8", "replace").partition("\n")[0])
        raise StatusError(f"{where} answered {status}: {words}")
    try:
        return msgspec.json.decode(body, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StatusError(f"{where} is no Headgate admin listener") from None


def _watch(look: Callable[[], State], console: Console) -> None:
    with Live(render(look()), console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            time.sleep(REFRESH)
            live.update(render(look()), refresh=True)


def render(state: State) -> Group:
    """The state as people read it."""
    stale = "  the policy file last read was bad: an older one is in force" if state.policy.stale else ""
    head = Text(f"headgate {state.version}  {state.mode}  policy {state.policy.digest[:12]}{stale}")
    return Group(head, _limits(state.limits), _queues(state), _tickets(state.tickets))


def _limits(limits: tuple[LimitState, ...]) -> Table:
    table = Table("limit", "for", "in use", "of", title="Limits", title_justify="left")
    for account in sorted(limits, key=lambda each: (each.name, each.scope)):
        _row(table, account.name, account.scope, f"{account.held:g}", f"{account.limit:g}")
    return table


def _queues(state: State) -> Table:
    table = Table("route", "tenant", "waiting", "away", title="Queues", title_justify="left")
    for queue in sorted(state.queues, key=lambda each: (each.route, each.tenant)):
        _row(table, queue.route, queue.tenant, str(queue.waiting), str(queue.lingering))
    return table


def _tickets(tickets: tuple[TicketState, ...]) -> Table:
    columns = ("ticket", "tenant", "route", "state", "position", "waits for", "waited", "to go")
    table = Table(*columns, title="Tickets", title_justify="left")
    for ticket in tickets:
        _row(
            table,
            ticket.ticket,
            ticket.tenant,
            ticket.route,
            ticket.state,
            str(ticket.position or ""),
            ticket.blocker or "",
            f"{ticket.waited:.0f}s",
            "" if ticket.eta is None else f"{ticket.eta:.0f}s",
        )
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(_clean(cell)) for cell in cells))


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
