"""``headgate explain``: what would become of a request, and why. Asks the same code that serves."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from proxy.cli.policy_files import read_policy
from proxy.dialects.registry import OPERATIONS
from proxy.domain.errors import HeadgateError
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.domain.quantities import format_duration
from proxy.pipeline.claims import Caller, needs_of, patience_of
from proxy.pipeline.identity import Credentials
from proxy.pipeline.recognise import Target, find_caller, find_target
from proxy.pipeline.snapshot import Snapshot
from proxy.policy.compile import PolicyErrors, load_policy
from proxy.policy.policyset import PolicySet
from proxy.problems import problem_of
from proxy.settings import SettingsError, load_settings
from proxy.state import StateError, load_salt, state_folder
from proxy.wire.heads import parse_request


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--policy", required=True, metavar="FILE|DIR|NAME", help="the policy to ask")
    parser.add_argument("method", metavar="METHOD", help="for example POST")
    parser.add_argument("url", metavar="URL", help="as the caller would write it, or a path like /e2b/sandboxes")
    parser.add_argument(
        "-H", dest="headers", action="append", default=[], metavar="'Name: value'", help="a header; repeatable"
    )
    parser.add_argument(
        "--from", dest="peer", default="127.0.0.1", metavar="ADDRESS", help="the caller's address (loopback)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; 0, or 1 where the request would be refused, or 2 for wrong input."""
    try:
        ipaddress.ip_address(arguments.peer)
        policies = load_policy(read_policy(arguments.policy), os.environ, OPERATIONS)
        salt = _salt()
        head, listener = _request(arguments, policies)
    except PolicyErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    except HeadgateError as error:
        print(f"refused: {problem_of(error, repeatable=False).message}")
        return 1
    except (ValueError, StateError, SettingsError) as error:
        print(f"headgate explain: {error}", file=sys.stderr)
        return 2
    snapshot = Snapshot(policies)
    try:
        target = find_target(snapshot, head, listener)
        caller = find_caller(snapshot, target, head, arguments.peer, Credentials(salt))
        lines = list(_answer(snapshot, target, caller, head))
    except HeadgateError as error:
        problem = problem_of(error, repeatable=head.idempotent)
        print(f"refused: {problem.status} {problem.code}\nwhy: {problem.message}")
        return 1
    print("\n".join(lines))
    return 0


def _salt() -> bytes:
    settings = load_settings({})
    if settings.salt is not None:
        return settings.salt.get_secret_value().encode()
    return load_salt(state_folder(settings.state_dir, os.environ))


def _request(arguments: argparse.Namespace, policies: PolicySet) -> tuple[RequestHead, UpstreamName | None]:
    """The request as it would arrive, and the upstream whose own listener it would come to."""
    url, listener, host = arguments.url, None, "localhost"
    target = url
    if re.match(r"https?://", url):
        parts = urlsplit(url)
        host = parts.netloc
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        listener = next((u.name for u in policies.upstreams.values() if u.listen and u.listen.port == port), None)
    elif url.startswith("/"):
        listener = _only_listener(policies)
    else:
        raise ValueError(f'"{url}" is neither a URL nor a path; write for example /e2b/sandboxes')
    headers = list(arguments.headers)
    for header in headers:
        if ":" not in header:
            raise ValueError(f"-H {header!r} is no header; write 'Name: value'")
    if not any(header.lower().startswith("host:") for header in headers):
        headers.insert(0, f"Host: {host}")
    text = "\r\n".join([f"{arguments.method.upper()} {target} HTTP/1.1", *headers, "", ""])
    return parse_request(text.encode("latin-1", "replace")), listener


def _only_listener(policies: PolicySet) -> UpstreamName | None:
    """The upstream that a bare path must mean, where nothing is mounted on the main listener."""
    upstreams = list(policies.upstreams.values())
    only = upstreams[0] if len(upstreams) == 1 else None
    return only.name if only is not None and only.listen and only.prefix is None and not only.hosts else None


def _answer(snapshot: Snapshot, target: Target, caller: Caller, head: RequestHead) -> Iterator[str]:
    """The five lines asked for, then the reasons."""
    resolution, policies = target.resolution, snapshot.policies
    route = resolution.route
    yield f"tenant: {caller.tenant}"
    yield f"route: {'none' if route is None else route.name}"
    queued = route is not None and route.limits
    yield f"limits: {', '.join(route.limits) if route is not None and queued else 'none'}"
    patience = patience_of(route, head, caller.timeout) if route is not None and queued else None
    yield f"patience: {'none' if patience is None else format_duration(patience)}"
    yield f"progress: {', '.join(route.progress) if route is not None and route.progress else 'none'}"
    yield ""
    upstream = resolution.upstream
    meaning = f"{head.method} {resolution.path} is {resolution.operation}"
    yield f"upstream {upstream.name} (dialect {upstream.dialect}): {meaning}"
    origin, path = upstream.origin, resolution.forward.decode("latin-1").partition("?")[0]
    yield f"forwarded to {origin.scheme}://{origin.host}:{origin.port}{path}"
    yield f"credential {caller.credential}, weight {policies.tenants.weight(caller.tenant):g}"
    if upstream.auth is not None:
        yield f"sent with the token of {upstream.auth.token_file}, not with the caller's"
    if caller.timeout is not None:
        yield f"the request gives itself {format_duration(caller.timeout)}"
    if route is None:
        yield "no route matches: passed on, never queued"
    elif not queued:
        yield f"route {route.name} has no limits: passed on, never queued"
    else:
        for need in needs_of(policies, route, resolution.upstream, caller, head, 1):
            limit = policies.limits[need.limit]
            bound = f"{limit.seats} seats" if limit.seats is not None else f"{limit.rate}, burst {limit.burst}"
            yield f"limit {limit.name}: {bound} per {limit.per.value}, here {need.scope or '(none named)'}"
