"""From a request to its claim: accounts, patience, ticket, identity."""

from __future__ import annotations

import pytest

from proxy.domain.errors import BadRequest
from proxy.domain.ids import Seconds, TenantName, UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.claims import Caller, identity_of, needs_of, patience_of, ticket_of
from proxy.policy.policyset import PolicySet
from tests.dialects.heads import request
from tests.support.proxies import policy_of

CALLER = Caller(TenantName("acme"), "key-1", "agents")
POLICY = """
version: 1
upstreams: {kube: {url: "http://127.0.0.1:1", dialect: kubernetes}}
limits:
  by-tenant: {seats: 40}
  by-key: {seats: 40, per: credential}
  by-upstream: {seats: 40, per: upstream}
  by-namespace: {seats: 40, per: namespace}
  by-header: {seats: 40, per: {header: X-Team}}
  pace: {rate: 5/s, per: credential}
routes:
  - name: create
    match: {upstream: kube}
    limits: [by-tenant, by-key, by-upstream, by-namespace, by-header, pace]
    queue: {patience: 45s}
"""


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    """Every way to count."""
    return policy_of(POLICY)


def scopes(policies: PolicySet, head: RequestHead, width: int = 1) -> dict[str, tuple[str, int]]:
    """What a request takes, and of whose account."""
    route, upstream = policies.routes[0], policies.upstreams[UpstreamName("kube")]
    needs = needs_of(policies, route, upstream, CALLER, head, width)
    assert [need.limit for need in needs] == list(route.limits)
    return {need.limit: (need.scope, need.cost) for need in needs}


def test_whom_each_limit_counts(policies: PolicySet) -> None:
    assert scopes(policies, request("X-Team: blue")) == {
        "by-tenant": ("acme", 1),
        "by-key": ("key-1", 1),
        "by-upstream": ("kube", 1),
        "by-namespace": ("agents", 1),
        "by-header": ("blue", 1),
        "pace": ("key-1", 1),
    }


def test_a_wide_request_takes_more_seats_but_is_one_request(policies: PolicySet) -> None:
    costs = {limit: cost for limit, (_, cost) in scopes(policies, request(), width=7).items()}
    assert costs == {"by-tenant": 7, "by-key": 7, "by-upstream": 7, "by-namespace": 7, "by-header": 7, "pace": 1}


def test_a_header_that_is_missing_or_endless(policies: PolicySet) -> None:
    assert scopes(policies, request())["by-header"][0] == ""
    assert len(scopes(policies, request("X-Team: " + "x" * 5000))["by-header"][0]) == 256


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], 45),
        (["Headgate-Patience: 20s"], 20),
        (["Headgate-Patience: 500ms"], 0.5),
        (["Headgate-Patience: 0"], 0),
        (["Headgate-Patience: 2h"], 45),
        (["Prefer: wait=20"], 20),
        (["Prefer: wait=100"], 45),
        (["Prefer: respond-async, wait=7; x=y"], 7),
        (["Prefer: return=minimal", "Prefer: wait=9"], 9),
        (["Prefer: wait=-1"], 45),
        (["Prefer: wait=soon"], 45),
        (["Headgate-Patience: 20s", "Prefer: wait=10"], 10),
    ],
)
def test_patience_can_only_be_shortened(policies: PolicySet, lines: list[str], seconds: float) -> None:
    assert patience_of(policies.routes[0], request(*lines)) == seconds


def test_the_apis_own_words_shorten_it_too(policies: PolicySet) -> None:
    route = policies.routes[0]
    assert patience_of(route, request(), Seconds(7)) == 7.0
    assert patience_of(route, request(), Seconds(90)) == 45.0
    assert patience_of(route, request("Headgate-Patience: 5s"), Seconds(7)) == 5.0
    assert patience_of(route, request("Headgate-Patience: 9s"), Seconds(7)) == 7.0


@pytest.mark.parametrize("said", ["30", "soon", "-1s", "", "1e9s", "nan"])
def test_a_patience_that_is_no_duration(policies: PolicySet, said: str) -> None:
    with pytest.raises(BadRequest, match="Headgate-Patience"):
        patience_of(policies.routes[0], request(f"Headgate-Patience: {said}"))


def test_the_ticket() -> None:
    assert ticket_of(request("Headgate-Ticket: aB3_-x")) == "aB3_-x"
    assert ticket_of(request()) is None
    for said in ("", "a b", "x" * 65, "a;b", "ä"):
        with pytest.raises(BadRequest):
            ticket_of(request(f"Headgate-Ticket: {said}"))


def test_what_makes_two_requests_the_same() -> None:
    one = identity_of(request("X-Try: 1"), b"body")
    assert one == identity_of(request("X-Try: 2"), b"body")
    others = {
        identity_of(request(), b"other"),
        identity_of(request(target="/v2/sandboxes"), b"body"),
        identity_of(request(method="PUT"), b"body"),
        identity_of(request(target="/sandboxes?x"), b"body"),
        identity_of(request(target="/sandboxesbody"), b""),
    }
    assert len(others) == 5
    assert one not in others
    assert identity_of(request(), None) is None


def test_a_key_stands_for_the_request() -> None:
    key = identity_of(request("Idempotency-Key: k1"), b"body")
    assert key == identity_of(request("Idempotency-Key: k1", target="/x"), None)
    assert key not in (identity_of(request("Idempotency-Key: k2"), b"body"), identity_of(request(), b"body"))
    for said in ("", "k" * 256):
        with pytest.raises(BadRequest):
            identity_of(request(f"Idempotency-Key: {said}"), b"body")
