"""``explain`` and ``serve`` agree on what becomes of a request, over generated requests.

A running proxy is asked through its sockets; what it recorded, what it put into its pool and what it let
the couriers carry is compared with what ``headgate explain`` prints for the same request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxy.cli import explain
from proxy.domain.quantities import format_duration
from proxy.ports import RequestRecord
from tests.support.callers import RawCaller, request
from tests.support.proxies import SALT, Proxy, running
from tests.support.upstreams import always, upstream
from tests.support.waiting import until
from tests.support.watched import watched

POLICY = """
version: 1
upstreams:
  e2b: {url: "%(url)s", dialect: e2b, prefix: /e2b}
  deep: {url: "%(url)s/base", dialect: http, prefix: /e2b/deep}
  owned: {url: "%(url)s", dialect: http, hosts: [owned.test]}
  kube: {url: "%(url)s", dialect: kubernetes, prefix: /kube}
tenants:
  identify: [path, {header: X-Tenant-Id}, namespace, credential]
  default: nobody
  known: {acme: {weight: 4}}
limits:
  creates: {seats: 1, per: tenant}
  pace: {rate: 5/s, per: {header: X-Group}}
  pods: {seats: 1, per: namespace}
routes:
  - {name: create, match: {upstream: e2b, operation: [create, fork]}, limits: [creates, pace],
     queue: {patience: 40s}, progress: [job, session]}
  - {name: kill, match: {upstream: e2b, operation: destroy}}
  - {name: files, match: {upstream: deep, methods: [PUT, GET], path: "/Files('{id}')/**"}, limits: [pace],
     queue: {patience: 7s}}
  - {name: owned, match: {upstream: owned, operation: write}, limits: [creates], queue: {patience: 0}}
  - {name: pods, match: {upstream: kube, operation: create}, limits: [pods]}
progress:
  job: {to: "http://127.0.0.1:9/{header:x-job-id}", body: {}, first: 10s}
  session: {to: "http://127.0.0.1:9/s", body: {}, first: 10s}
"""
PREFIXES = [
    "/e2b",
    "//e2b",
    "/%%65%%32b".replace("%%", "%"),
    "/e2b/",
    "/nowhere",
    "",
    "/e2b/deep",
    "/e2b/./deep",
    "/e2b/../e2b",
    "/kube",
    "/kube",
]
TENANTS = ["", "/t/acme", "/t/b-1", "/t/a%20b", "/t/", "//t//acme"]
PATHS = [
    "/sandboxes",
    "/v2/sandboxes",
    "//sandboxes",
    "/%73andboxes",
    "/x/../sandboxes",
    "/sandboxes/sb-1",
    "/sandboxes/sb-1/fork",
    "/sandboxes/sb-1/connect?x=1",
    "/Files('1')/$value",
    "/Files('%27')/$value",
    "/api/v1/namespaces/ns-1/pods",
    "/api/v1//namespaces/ns%2D1/pods/?timeout=2s",
    "/api/v1/namespaces/a%20b/pods?timeout=1m0s",
    "/api/v1/pods?watch=1",
    "/a%00b",
    "/../..",
    "/",
    "",
    "?q",
]
HEADERS = [
    ("X-Tenant-Id", "acme"),
    ("X-Tenant-Id", "other"),
    ("X-Tenant-Id", "not a name"),
    ("X-API-Key", "e2b_aa"),
    ("Authorization", "Bearer x"),
    ("X-Group", "g1"),
    ("Headgate-Patience", "3s"),
    ("Headgate-Patience", "soon"),
    ("Headgate-Patience", "2h"),
    ("Prefer", "wait=5"),
    ("Connection", "X-Tenant-Id"),
    ("X-Job-Id", "j"),
]
ONE_BY_ONE = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: an assertion names the one request that it is about."""
METHODS = ["POST", "GET", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH"]
HOSTS = ["localhost", "owned.test", "OWNED.test:8080"]


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]


asks = st.builds(
    lambda method, tenant, prefix, path, host, headers: Ask(
        method, tenant + prefix + path or "/", host, tuple(headers)
    ),
    st.sampled_from(METHODS),
    st.sampled_from(TENANTS),
    st.sampled_from(PREFIXES),
    st.sampled_from(PATHS),
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(HEADERS), max_size=4, unique=True),
).filter(lambda ask: ask.target.startswith("/"))


@dataclass
class Witness:
    """What a running proxy did with one request."""

    records: list[RequestRecord] = field(default_factory=list)
    arrivals: list[Any] = field(default_factory=list)
    sinks: list[tuple[str, ...]] = field(default_factory=list)

    def answer(self) -> dict[str, str]:
        """In the words of ``explain``."""
        (record,) = self.records
        if record.outcome in ("refused", "bad-request") and not self.arrivals:
            return {"refused": f"{record.status} {record.error}"}
        said = {"tenant": record.tenant, "route": record.route or "none"}
        if not self.arrivals:
            return {**said, "limits": "none", "patience": "none"}
        (arrival,) = self.arrivals
        limits = ", ".join(need.limit for need in arrival.needs)
        return {**said, "limits": limits, "patience": format_duration(arrival.patience)}


async def served(proxy: Proxy, ask: Ask) -> Witness:
    """Send it, and see what the proxy makes of it. Whoever comes to wait leaves again."""
    seen = Witness()

    def on_begin(sinks: Any, *_: Any) -> None:
        seen.sinks.append(tuple(sink.name for sink in sinks))

    with watched(
        proxy.app,
        observer={"finished": seen.records.append},
        store={"arrive": seen.arrivals.append},
        couriers={"begin": on_begin},
    ):
        caller = await RawCaller.connect(proxy.url)
        caller.send(request(ask.method, ask.target, b"", ask.headers, host=ask.host))
        await until(lambda: seen.records or proxy.waiting())
        caller.leave()
        await until(lambda: seen.records)
    return seen


def explained(policy: Path, ask: Ask, address: str) -> dict[str, str]:
    """What ``headgate explain`` prints."""
    headers = [f"{name}: {value}" for name, value in (("Host", ask.host), *ask.headers)]
    arguments = argparse.Namespace(policy=str(policy), method=ask.method, url=ask.target, headers=headers, peer=address)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), mock.patch.dict(os.environ, {"HEADGATE_SALT": SALT.decode()}):
        explain.run(arguments)
    lines = out.getvalue().splitlines()
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


async def compare(requests: Sequence[Ask], file: Path) -> None:
    async with upstream(always(200)) as up:
        policy = POLICY % {"url": up.url}
        await asyncio.to_thread(file.write_text, policy)
        async with running(policy) as proxy:
            for ask in requests:
                seen = await served(proxy, ask)
                wanted, said = seen.answer(), explained(file, ask, "127.0.0.1")
                assert {name: said.get(name) for name in wanted} == wanted, ask
                if seen.sinks:
                    assert said["progress"] == ", ".join(seen.sinks[0]), ask


@given(st.lists(asks, min_size=30, max_size=30))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=ONE_BY_ONE)
def test_explain_and_serve_agree(tmp_path_factory: pytest.TempPathFactory, requests: list[Ask]) -> None:
    uvloop.run(compare(requests, tmp_path_factory.mktemp("explain") / "policy.yaml"))


def test_the_comparison_sees_both_kinds(tmp_path: Path) -> None:
    """Among the simplest requests are queued ones, free ones and refused ones."""

    async def main() -> list[dict[str, str]]:
        async with upstream(always(200)) as up, running(POLICY % {"url": up.url}) as proxy:
            key = (("X-API-Key", "e2b_aa"), ("Headgate-Patience", "3s"))
            samples = [
                ("POST", "/e2b/sandboxes"),
                ("DELETE", "/e2b/sandboxes/x"),
                ("GET", "/nowhere"),
                ("GET", "/e2b/%00"),
            ]
            return [(await served(proxy, Ask(method, target, "h", key))).answer() for method, target in samples]

    queued, free, unknown, bad = uvloop.run(main())
    assert (queued["route"], queued["limits"], queued["patience"]) == ("create", "creates, pace", "3s")
    assert (free["route"], free["limits"]) == ("kill", "none")
    assert unknown == {"refused": "404 unknown_upstream"}
    assert bad == {"refused": "400 bad_request"}
