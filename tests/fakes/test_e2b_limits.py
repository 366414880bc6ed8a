"""The arithmetic alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.fakes.e2b_limits import PENDING_SECONDS, Gcra, Pending, Rate, Window


def test_pending_counts_beside_live_and_never_overshoots() -> None:
    pending = Pending()
    first = pending.reserve(live=2, limit=4, now=0)
    assert first is not None
    assert pending.reserve(live=2, limit=4, now=0) is not None
    assert pending.reserve(live=2, limit=4, now=0) is None
    pending.release(first)
    assert pending.reserve(live=2, limit=4, now=0) is not None


def test_a_start_that_never_ended_stops_counting() -> None:
    pending = Pending()
    assert pending.reserve(live=0, limit=1, now=0) is not None
    assert pending.reserve(live=0, limit=1, now=PENDING_SECONDS) is None
    assert pending.reserve(live=0, limit=1, now=PENDING_SECONDS + 1) is not None


def test_a_window_forgets_what_is_older() -> None:
    window = Window(2, 10)
    assert [window.take(t) for t in (0, 1, 2, 9.9, 10, 10.5, 11)] == [True, True, False, False, True, False, True]


def test_the_limiter_says_when_to_come_back() -> None:
    limiter = Gcra(Rate(per_second=0.5, burst=2))
    allowed = limiter.take(0)
    assert allowed.headers() == {"RateLimit-Limit": "2", "RateLimit-Remaining": "1", "RateLimit-Reset": "2"}
    assert limiter.take(0).allowed
    refused = limiter.take(0.5)
    assert not refused.allowed
    assert refused.headers()["Retry-After"] == "2"
    assert limiter.take(2).allowed


def test_retry_after_is_at_least_one() -> None:
    limiter = Gcra(Rate(per_second=100))
    assert limiter.take(0).allowed
    assert limiter.take(0.001).headers()["Retry-After"] == "1"


@given(
    st.floats(0.1, 50),
    st.integers(1, 10),
    st.lists(st.floats(0, 0.5), max_size=60),
)
def test_no_stretch_lets_more_through_than_burst_plus_rate(rate: float, burst: int, gaps: list[float]) -> None:
    limiter, now, passed = Gcra(Rate(rate, burst)), 0.0, []
    for gap in gaps:
        now += gap
        if limiter.take(now).allowed:
            passed.append(now)
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + rate * (passed[j] - start) + 1e-6
