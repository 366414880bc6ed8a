"""Who is charged, who may say so, and what the upstream hears of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.callers import CREATE, Answer, RawCaller, request
from tests.support.proxies import Proxy, running
from tests.support.upstreams import Gate, always, upstream
from tests.support.waiting import until

POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
tenants:
  identify: [%s]
  default: nobody
limits: {creates: {seats: 1, per: tenant}}
routes: [{name: create, match: {upstream: e2b, operation: create}, limits: [creates], queue: {patience: 60s}}]
"""
ALL = "path, {header: X-Tenant-Id}, credential"
FAR = '"192.0.2.0/24"'
Fields = Iterable[tuple[str, str]]


async def ask(proxy: Proxy, target: str = "/e2b/sandboxes", fields: Fields = ()) -> RawCaller:
    caller = await RawCaller.connect(proxy.url)
    caller.send(request("POST", target, CREATE, fields))
    return caller


async def tenant_of(identify: str, target: str = "/e2b/sandboxes", fields: Fields = ()) -> tuple[str, Answer | None]:
    """The tenant that holds the seat, or the refusal."""
    gate = Gate()
    async with upstream(gate) as up, running(POLICY % (up.url, identify)) as proxy:
        caller = await ask(proxy, target, fields)
        await until(lambda: proxy.held() == 1 or answered(proxy))
        held = [limit.scope for limit in proxy.app.store.view().limits if limit.held]
        gate.open()
        answer = await caller.answer()
        return (held[0], None) if held else ("", answer)


def answered(proxy: Proxy) -> bool:
    values = proxy.app.metrics.registry.get_sample_value
    labels = [{"upstream": up, "route": route} for up, route in (("", ""), ("e2b", ""), ("e2b", "create"))]
    outcomes = ("refused", "bad-request")
    return any(values("headgate_requests_total", {**label, "outcome": o}) for label in labels for o in outcomes)


async def test_the_path_comes_first_then_the_header_then_the_key() -> None:
    both = [("X-Tenant-Id", "by-header"), ("X-API-Key", "e2b_aa")]
    assert (await tenant_of(ALL, "/t/by-path/e2b/sandboxes", both))[0] == "by-path"
    assert (await tenant_of(ALL, "//t//by-path//e2b//sandboxes", both))[0] == "by-path"
    assert (await tenant_of(ALL, fields=both))[0] == "by-header"
    assert (await tenant_of(ALL, fields=both[1:]))[0].startswith("key-")
    assert (await tenant_of(ALL))[0] == "nobody"


async def test_a_header_is_not_believed_from_where_it_is_not_trusted() -> None:
    identify = f"{{header: X-Tenant-Id, trusted: [{FAR}]}}, credential"
    made_up = [("X-Tenant-Id", "made-up"), ("X-API-Key", "e2b_aa")]
    tenant, _ = await tenant_of(identify, fields=made_up)
    assert tenant.startswith("key-")
    assert tenant == (await tenant_of(identify, fields=made_up[1:]))[0]


async def test_a_path_that_is_not_believed_is_forbidden() -> None:
    identify = f"{{path: true, trusted: [{FAR}]}}, credential"
    tenant, answer = await tenant_of(identify, "/t/made-up/e2b/sandboxes", [("X-API-Key", "e2b_aa")])
    assert tenant == "" and answer is not None
    assert (answer.status, answer.json["error_code"]) == (403, "tenant_not_believed")


async def test_where_no_rule_reads_the_path_it_is_no_special_path() -> None:
    tenant, answer = await tenant_of("credential", "/t/x/e2b/sandboxes", [("X-API-Key", "e2b_aa")])
    assert tenant == "" and answer is not None
    assert answer.status == 404


@pytest.mark.parametrize(
    "fields",
    [
        [("X-Tenant-Id", "a"), ("X-Tenant-Id", "b")],
        [("X-Tenant-Id", "a b")],
        [("X-Tenant-Id", "a" * 64)],
        [("X-Tenant-Id", "a"), ("Connection", "X-Tenant-Id")],
    ],
)
async def test_a_tenant_nobody_can_be_sure_of_is_a_bad_request(fields: Fields) -> None:
    tenant, answer = await tenant_of(ALL, fields=fields)
    assert tenant == "" and answer is not None
    assert answer.status == 400


async def test_made_up_tenants_do_not_escape_a_limit() -> None:
    gate = Gate()
    identify = f"{{header: X-Tenant-Id, trusted: [{FAR}]}}, credential"
    async with upstream(gate) as up, running(POLICY % (up.url, identify)) as proxy:
        callers = [
            await ask(proxy, fields=[("X-Tenant-Id", f"t{number}"), ("X-API-Key", "e2b_aa")]) for number in range(5)
        ]
        await until(lambda: proxy.waiting() == 4)
        assert len(up.seen) == 1
        gate.open()
        assert [(await caller.answer()).status for caller in callers] == [201] * 5
        assert up.peak == 1


@pytest.mark.parametrize(
    ("rule", "forwarded"), [("{header: X-Tenant-Id}", None), ("{header: X-Tenant-Id, forward: true}", "acme")]
)
async def test_the_tenants_header_goes_no_further_unless_told(rule: str, forwarded: str | None) -> None:
    async with upstream(always(201)) as up, running(POLICY % (up.url, rule)) as proxy:
        assert (
            await (await ask(proxy, fields=[("X-Tenant-Id", "acme"), ("X_Tenant_Id", "evil")])).answer()
        ).status == 201
        assert up.seen[0].get("x-tenant-id") == forwarded
        if forwarded is None:
            assert up.seen[0].get("x_tenant_id") is None, "some servers take one for the other"
