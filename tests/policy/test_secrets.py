"""What comes from the environment may be a secret: no error, no repr and no digest shows it."""

from __future__ import annotations

import pytest

from proxy.domain.ids import SinkName
from tests.policy.builders import BASE, mistakes, policy

SECRET = "s3cr3t{waited}{nope}"


@pytest.mark.parametrize(
    "text",
    [
        "limits:\n  a:\n    seats: ${S}\n",
        "limits:\n  a:\n    rate: ${S}\n",
        "limits:\n  a:\n    seats: 1\n    per: ${S}\n",
        "limits:\n  a:\n    seats: 1\n    per: {header: '${S}'}\n",
        "timeouts:\n  idle: ${S}\n",
        "tenants:\n  default: ${S}\n",
        "tenants:\n  identify: ['${S}']\n",
        "tenants:\n  identify: [{header: x, trusted: ['${S}']}]\n",
        "tenants:\n  known: {a: {weight: '${S}'}}\n",
        "routes:\n  - {name: '${S}', match: {upstream: '${S}'}, limits: ['${S}'], mode: '${S}'}\n",
        "routes:\n  - {name: a, match: {upstream: e2b, operation: '${S}', methods: '${S}', path: '${S}'}}\n",
        "routes:\n  - {name: a, match: {upstream: e2b, path: '/${S}'}}\n",
        "routes:\n  - {name: a, match: {upstream: e2b}, retry: {backoff: '${S}', budget: '${S}', also: '${S}'}}\n",
        "routes:\n  - {name: a, match: {upstream: e2b}, queue: '${S}'}\n",
        "progress:\n  s: {to: '${S}', stop_on: ['${S}']}\n",
        "progress:\n  s: {to: 'http://${S}', method: '${S}'}\n",
    ],
    ids=lambda text: text[-40:],
)
def test_no_error_shows_it(text: str) -> None:
    found = mistakes(BASE + text, {"S": SECRET})
    assert found
    assert not [str(e) for e in found if "s3cr3t" in str(e) or "nope" in str(e)]


@pytest.mark.parametrize("url", ["${S}", "http://${S}", "http://u:${S}@h", "http://h/${S}?"])
def test_no_error_about_an_upstream_shows_it(url: str) -> None:
    text = f"version: 1\nupstreams:\n  a:\n    url: {url}\n    dialect: ${{S}}\n    prefix: ${{S}}\n    hosts: ${{S}}\n"
    found = mistakes(text, {"S": SECRET})
    assert len(found) >= 4
    assert not [str(e) for e in found if "s3cr3t" in str(e) or "nope" in str(e)]


def test_a_password_written_in_a_url_is_not_shown() -> None:
    (error,) = mistakes("version: 1\nupstreams: {a: {url: 'http://user:hunter2@h'}}\n")
    assert "hunter2" not in str(error)


def test_a_header_of_the_wrong_type_is_not_shown() -> None:
    (error,) = mistakes(BASE + "progress:\n  s: {to: http://h, headers: {Authorization: 123456}}\n")
    assert "123456" not in str(error)


def test_it_is_taken_literally_where_placeholders_stand() -> None:
    text = BASE + "progress:\n  s: {to: http://h, headers: {A: 'x ${S} {waited}'}, body: {k: '${S}'}}\n"
    sink = policy(text, {"S": SECRET}).sinks[SinkName("s")]
    ((_, header),) = sink.headers
    assert header.fill({"waited": "7"}) == f"x {SECRET} 7"
    assert sink.body.fill({}) == {"k": SECRET}
    assert header.names == {"waited"}


def test_no_repr_and_no_digest_shows_it() -> None:
    text = BASE + "progress:\n  s: {to: 'http://h/${S}', headers: {A: 'x ${S}'}, body: {k: ['${S}']}}\n"
    made = policy(text, {"S": "s3cr3t"})
    assert "s3cr3t" not in repr(made)
    assert "x ${S}" in repr(made)
    assert len(made.digest) == 64


def test_numbers_from_the_environment_are_numbers() -> None:
    text = BASE + "limits:\n  a:\n    seats: ${N}\n  b:\n    rate: ${R}\n    burst: ${N}\ntimeouts:\n  idle: ${D}\n"
    made = policy(text, {"N": "7", "R": "3/s", "D": "9s"})
    first, second = made.limits.values()
    assert (first.seats, second.burst, str(second.rate), made.timeouts.idle) == (7, 7, "3/s", 9.0)
