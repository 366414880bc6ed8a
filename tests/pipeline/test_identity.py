"""Who is charged: tenants are believed only where they may be, and credentials are named without telling them."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from proxy.domain.errors import BadRequest, TenantNotBelieved
from proxy.domain.ids import TenantName
from proxy.pipeline.identity import NO_CREDENTIAL, Credentials, identify
from proxy.policy.policyset import IdentifyBy, IdentifyRule, Tenants
from tests.dialects.heads import request

PATH = IdentifyRule(IdentifyBy.PATH)
HEADER = IdentifyRule(IdentifyBy.HEADER, header=b"x-tenant-id")
CREDENTIAL = IdentifyRule(IdentifyBy.CREDENTIAL)
ALL = Tenants((PATH, HEADER, CREDENTIAL), TenantName("nobody"))
NEAR, FAR = "127.0.0.1", "203.0.113.7"
ACME = TenantName("acme")


@pytest.mark.parametrize(
    ("lines", "path", "credential", "peer", "tenant"),
    [
        ([], ACME, "key-1", NEAR, "acme"),
        (["X-Tenant-Id: other"], ACME, "key-1", NEAR, "acme"),
        (["X-Tenant-Id: other"], None, "key-1", NEAR, "other"),
        (["X-Tenant-Id: other"], None, "key-1", "::1", "other"),
        (["X-Tenant-Id: other"], None, "key-1", "::ffff:127.0.0.1", "other"),
        (["X-Tenant-Id: other"], None, "key-1", "", "other"),
        (["X-Tenant-Id: other"], None, "key-1", FAR, "key-1"),
        (["X-Tenant-Id: other"], None, "key-1", "2001:db8::1%eth0", "key-1"),
        (["X-Tenant-Id:"], None, "key-1", NEAR, "key-1"),
        ([], None, "key-1", FAR, "key-1"),
        (["X-Tenant-Id: other"], None, NO_CREDENTIAL, FAR, "nobody"),
        ([], None, NO_CREDENTIAL, NEAR, "nobody"),
    ],
)
def test_the_first_rule_that_yields_a_name_wins(
    lines: list[str], path: TenantName | None, credential: str, peer: str, tenant: str
) -> None:
    assert identify(ALL, request(*lines), path, None, credential, peer) == tenant


def test_a_path_from_afar_is_refused() -> None:
    with pytest.raises(TenantNotBelieved):
        identify(ALL, request(), ACME, None, "key-1", FAR)
    wide = Tenants((IdentifyRule(IdentifyBy.PATH, trusted=(ip_network("203.0.113.0/24"),)),))
    assert identify(wide, request(), ACME, None, "key-1", FAR) == "acme"
    with pytest.raises(TenantNotBelieved):
        identify(wide, request(), ACME, None, "key-1", NEAR)


def test_a_path_is_nothing_where_no_rule_reads_it() -> None:
    assert identify(Tenants((CREDENTIAL,)), request(), ACME, None, "key-1", FAR) == "key-1"


@pytest.mark.parametrize(
    ("namespace", "tenant"), [("agents", "agents"), (None, "key-1"), ("", "key-1"), ("a%20b", "key-1"), ("ä", "key-1")]
)
def test_a_namespace_is_believed_from_everywhere(namespace: str | None, tenant: str) -> None:
    """The API server checks who may use it; what is no name at all is its to refuse."""
    rules = Tenants((IdentifyRule(IdentifyBy.NAMESPACE), CREDENTIAL))
    assert identify(rules, request("X-Tenant-Id: other"), ACME, namespace, "key-1", FAR) == tenant
    assert identify(ALL, request(), None, namespace, "key-1", FAR) == "key-1", "where no rule reads it"


@pytest.mark.parametrize("name", ["a" * 64, "a b", "a/b", "ä", "a\tb", "*", "a:b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(BadRequest):
        identify(ALL, request(), TenantName(name), None, "key-1", NEAR)
    with pytest.raises(BadRequest):
        identify(ALL, request(f"X-Tenant-Id: {name}"), None, None, "key-1", NEAR)


def test_two_names_are_none_wherever_they_come_from() -> None:
    twice = request("X-Tenant-Id: a", "x-tenant-id: b")
    for peer in (NEAR, FAR):
        with pytest.raises(BadRequest):
            identify(ALL, twice, None, None, "key-1", peer)


def test_credentials_have_names_that_tell_nothing() -> None:
    names = Credentials(b"salt")
    name = names.name(b"e2b_secret")
    assert re.fullmatch("key-[0-9a-f]{12}", name)
    assert names.name(b"e2b_secret") == name == Credentials(b"salt").name(b"e2b_secret")
    assert name not in (names.name(b"e2b_secreu"), Credentials(b"other").name(b"e2b_secret"))
    assert names.name(None) == names.name(b"") == NO_CREDENTIAL


def test_credentials_do_not_fill_the_memory() -> None:
    names = Credentials(b"salt")
    first = names.name(b"0")
    for number in range(20_000):
        names.name(b"%d" % number)
    assert len(names._names) <= 4096
    assert names.name(b"0") == first
