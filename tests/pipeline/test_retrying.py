"""Whether a try may be followed by another: only what was provably not processed, or is idempotent."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import Final

import pytest

from proxy.dialects.registry import DIALECTS
from proxy.domain.errors import HeadgateError, QueueFull, UpstreamBroke, UpstreamUnreachable
from proxy.domain.ids import LimitName, Seconds
from proxy.domain.messages import RequestHead
from proxy.pipeline.retrying import (
    Again,
    Budget,
    after_error,
    after_reply,
    asked_to_wait,
    retry_after,
    uncompressed,
    wants_body,
)
from proxy.policy.policyset import AlsoTransient, Retry
from tests.dialects.heads import reply, request

E2B: Final = DIALECTS["e2b"]
FIVE: Final = Retry(attempts=5, backoff_first=Seconds(0.5), backoff_cap=Seconds(3.0))
CAPACITY: Final = b'{"code": 503, "message": "", "error_code": "sandbox_capacity_unavailable"}'
POST: Final = request()
GET: Final = request(method="GET")
KEYED: Final = request('Idempotency-Key: "k"')


def half() -> float:
    return 0.5


def midnight() -> float:
    return 1_700_000_000.0


def again(
    retry: Retry, head: RequestHead, status: int, body: bytes | None = b"", tries: int = 1, *lines: str
) -> Again | None:
    """What follows a reply in dialect e2b."""
    return after_reply(retry, E2B, head, reply(status, *lines), body, tries, half, midnight)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504])
def test_which_replies_are_followed_by_another_try(status: int) -> None:
    assert (again(FIVE, POST, status) is not None) == (status == 429)
    assert (again(FIVE, KEYED, status) is not None) == (status == 429), "a key alone makes nothing safe"
    assert (again(FIVE, GET, status) is not None) == (status in (429, 502, 503, 504))


def test_a_create_is_repeated_only_where_its_dialect_is_sure() -> None:
    assert again(FIVE, POST, 503, CAPACITY) is not None
    assert again(FIVE, POST, 503, b"no healthy upstream") is None
    assert again(FIVE, POST, 503, None) is None, "a body too big to be judged proves nothing"


def test_tries_end() -> None:
    assert again(FIVE, POST, 429, b"", 4) is not None
    assert again(FIVE, POST, 429, b"", 5) is None
    assert again(Retry(), POST, 429) is None, "one try is the default"


def test_full_jitter_below_a_doubled_step_and_a_cap() -> None:
    rests = [again(FIVE, POST, 429, b"", tries) for tries in (1, 2, 3, 4)]
    assert [step and step.rest for step in rests] == [0.25, 0.5, 1.0, 1.5]


def test_the_upstreams_word_is_a_lower_bound() -> None:
    assert again(FIVE, POST, 429, b"", 1, "Retry-After: 7") == Again(Seconds(7.0))
    assert again(FIVE, POST, 429, b"", 4, "Retry-After: 1") == Again(Seconds(1.5))


def test_the_gate_closes_for_whoever_was_not_admitted_and_for_no_longer_than_bearable() -> None:
    def asked(status: int, body: bytes = b"", *lines: str) -> float | None:
        return asked_to_wait(E2B, reply(status, *lines), body, midnight)

    assert asked(429, b"", "Retry-After: 7") == 7.0
    assert asked(503, CAPACITY, "Retry-After: 2") == 2.0
    assert asked(503, b"", "Retry-After: 2") is None, "it may have been processed"
    assert asked(200, b"", "Retry-After: 2") is None
    assert asked(429) is None
    assert asked(429, b"", "Retry-After: 0") is None
    assert asked(429, b"", "Retry-After: 86400") == 300.0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999999999999999999", 86400.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0.0),
        ("Tue, 14 Nov 2093 22:13:10 GMT", 86400.0),
        ("1.5", None),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_when_an_upstream_says_to_come_back(said: str, seconds: float | None) -> None:
    assert retry_after(reply(429, f"Retry-After: {said}"), midnight) == seconds
    assert retry_after(reply(429), midnight) is None


def test_a_policy_may_name_more_for_what_is_safe() -> None:
    also = (AlsoTransient(409, re.compile(b"dispatch exhausted|ask timeout")), AlsoTransient(425, None))
    retry = Retry(attempts=3, also=also)
    for head, safe in ((POST, False), (KEYED, True), (GET, True)):
        assert (again(retry, head, 409, b"... ask timeout ...") is not None) is safe
        assert again(retry, head, 409, b"something else") is None
        assert again(retry, head, 409, None) is None
        assert (again(retry, head, 425, None) is not None) is safe


def test_whose_body_is_wanted() -> None:
    http = DIALECTS["http"]
    also = Retry(attempts=3, also=(AlsoTransient(409, re.compile(b"x")), AlsoTransient(425, None)))
    assert [status for status in range(400, 600) if wants_body(also, http, "write", reply(status))] == [409]
    assert wants_body(Retry(), E2B, "create", reply(503))


UNREACHABLE: Final = UpstreamUnreachable("e2b", "refused")
BROKE: Final = UpstreamBroke("e2b", "reset")


@pytest.mark.parametrize(
    ("error", "post", "get"),
    [
        (UNREACHABLE, True, True),
        (BROKE, False, True),
        (QueueFull(LimitName("l"), 1, 1, Seconds(1)), False, False),
    ],
)
def test_which_errors_are_followed_by_another_try(error: HeadgateError, post: bool, get: bool) -> None:
    assert (after_error(FIVE, POST, error, 1, half) is not None) is post
    assert (after_error(FIVE, KEYED, error, 1, half) is not None) is post
    assert (after_error(FIVE, GET, error, 1, half) is not None) is get
    assert after_error(FIVE, GET, error, 5, half) is None
    assert after_error(FIVE, GET, UNREACHABLE, 2, half) == Again(Seconds(0.5))


def test_a_budget_is_a_reserve_a_share_and_a_trickle() -> None:
    budget = Budget(now=0.0)
    assert [budget.spend(0.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(5):
        assert not budget.spend(0.0)
        budget.first_try(0.2, 0.0)
    assert budget.spend(0.0)
    assert not budget.spend(0.0)
    assert not budget.spend(9.9)
    assert budget.spend(10.0), "one retry in ten seconds, whatever the traffic"
    for _ in range(100_000):
        budget.first_try(1.0, 10.0)
    assert sum(budget.spend(10.0) for _ in range(1000)) == 100, "what is saved is bounded"


SAID: Final = b'{"code": 429, "message": "wait"}'


@pytest.mark.parametrize(
    ("coding", "body", "plain"),
    [
        (None, SAID, SAID),
        ("identity", SAID, SAID),
        ("gzip", gzip.compress(SAID), SAID),
        ("X-GZIP", gzip.compress(SAID), SAID),
        ("deflate", zlib.compress(SAID), SAID),
        ("gzip", gzip.compress(b""), b""),
        ("gzip", SAID, None),
        ("gzip", gzip.compress(SAID)[:-9], None),
        ("gzip", b"", None),
        ("gzip", gzip.compress(b"x" * 1001), None),
        ("gzip", gzip.compress(b"x" * 1000), b"x" * 1000),
        ("br", SAID, None),
        ("gzip, br", gzip.compress(SAID), None),
        ("gzip, deflate", gzip.compress(SAID), None),
    ],
)
def test_a_body_without_its_coding(coding: str | None, body: bytes, plain: bytes | None) -> None:
    head = reply(429) if coding is None else reply(429, f"Content-Encoding: {coding}")
    assert uncompressed(head, body, 1000) == plain
