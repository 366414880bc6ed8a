"""Every series of design.md §2.11 that this version has, read back through Prometheus' own parser."""

from __future__ import annotations

import asyncio
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.admission.view import StoreView
from proxy.dialects.translation import PassedAsItWas
from proxy.observe.metrics import Metrics
from proxy.observe.observer import PodCounter
from proxy.ports import BeatResult, Outcome, RequestRecord
from proxy.stores.memory import MemoryStore
from tests.observe.policies import TEXT, arrival, policy

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def nothing(tickets: int) -> StoreView:
    return StoreView((), (), ())


def read(metrics: Metrics) -> Series:
    text, content_type = metrics.text()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


def fresh() -> Metrics:
    metrics = Metrics(nothing)
    metrics.policy_in_force(policy())
    return metrics


def test_known_series_stand_at_zero_from_the_start() -> None:
    series = read(fresh())
    for outcome in get_args(Outcome):
        for upstream, route in (("e2b", "create"), ("e2b", "rest"), ("e2b", ""), ("temper", ""), ("", "")):
            labels = {"upstream": upstream, "route": route, "outcome": outcome}
            assert value(series, "headgate_requests_total", **labels) == 0
    for result in get_args(BeatResult):
        assert value(series, "headgate_progress_total", sink="job", result=result) == 0
    for phase in ("admit", "connect", "upstream", "relay"):
        assert value(series, "headgate_phase_seconds_count", phase=phase) == 0
    for result in ("ok", "error"):
        assert value(series, "headgate_policy_reload_total", result=result) == 0
    for tenant in ("acme", "other"):
        assert value(series, "headgate_queue_waiting", route="create", tenant=tenant) == 0
        assert value(series, "headgate_queue_lingering", route="create", tenant=tenant) == 0
        assert value(series, "headgate_seats_held", limit="creates", tenant=tenant) == 0
    assert value(series, "headgate_seats_limit", limit="creates", tenant="acme") == 8
    assert value(series, "headgate_seats_limit", limit="creates", tenant="other") == 2
    assert value(series, "headgate_seats_limit", limit="shared", tenant="") == 20
    assert value(series, "headgate_queue_wait_seconds_count", route="create") == 0
    assert value(series, "headgate_upstream_retries_total", upstream="e2b", route="create") == 0
    assert value(series, "headgate_event_loop_lag_seconds_count") == 0
    for name in ("headgate_bad_messages_total", "headgate_policy_stale", "headgate_access_log_dropped_total"):
        assert value(series, name) == 0
    for why in get_args(PassedAsItWas):
        assert value(series, "headgate_pods_passed_total", why=why) == 0
    assert value(series, "headgate_pods_rewritten_total") == 0
    assert value(series, "headgate_mode", mode="normal") == 1
    assert value(series, "headgate_mode", mode="draining") == 0
    assert ("process_resident_memory_bytes", frozenset()) in series
    assert any(name == "headgate_build_info" for name, _ in series)


def test_no_rate_is_called_seats() -> None:
    assert not any(("limit", "create-rate") in labels for _, labels in read(fresh()))


def test_a_request_is_counted_where_its_time_went() -> None:
    metrics = fresh()
    metrics.finished(
        RequestRecord(
            *("POST", "/sandboxes", "e2b", "create", "acme", "t1", "ok"),
            waited=3.0,
            connect=0.004,
            upstream_seconds=2.0,
            relay=0.0,
            queued=True,
        )
    )
    metrics.finished(RequestRecord("GET", "/x", "e2b", "rest", outcome="upstream-error", upstream_seconds=0.02))
    metrics.finished(RequestRecord("GET", "/nowhere", outcome="failed"))
    series = read(metrics)
    assert value(series, "headgate_requests_total", upstream="e2b", route="create", outcome="ok") == 1
    assert value(series, "headgate_requests_total", upstream="e2b", route="rest", outcome="upstream-error") == 1
    assert value(series, "headgate_requests_total", upstream="", route="", outcome="failed") == 1
    assert value(series, "headgate_queue_wait_seconds_sum", route="create") == 3
    assert value(series, "headgate_queue_wait_seconds_bucket", route="create", le="2.0") == 0
    assert value(series, "headgate_queue_wait_seconds_bucket", route="create", le="5.0") == 1
    assert value(series, "headgate_queue_wait_seconds_bucket", route="create", le="+Inf") == 1
    counts = {p: value(series, "headgate_phase_seconds_count", phase=p) for p in ("admit", "connect", "upstream")}
    assert counts == {"admit": 2, "connect": 1, "upstream": 2}
    assert value(series, "headgate_phase_seconds_sum", phase="upstream") == pytest.approx(2.02)
    assert value(series, "headgate_phase_seconds_bucket", phase="upstream", le="0.025") == 1


def test_what_becomes_of_pods_is_counted() -> None:
    metrics = fresh()
    counter = PodCounter(metrics)
    assert not counter.expecting
    counter.rewritten()
    counter.rewritten()
    counter.passed("broken")
    series = read(metrics)
    assert value(series, "headgate_pods_rewritten_total") == 2
    passed = {why: value(series, "headgate_pods_passed_total", why=why) for why in get_args(PassedAsItWas)}
    assert passed == {why: float(why == "broken") for why in passed}


def test_a_value_on_a_bound_is_within_it() -> None:
    metrics = fresh()
    metrics.lag(0.02)
    series = read(metrics)
    assert value(series, "headgate_event_loop_lag_seconds_bucket", le="0.02") == 1
    assert value(series, "headgate_event_loop_lag_seconds_bucket", le="0.01") == 0


def test_the_rest_is_counted() -> None:
    metrics = fresh()
    metrics.retried("e2b", "create")
    metrics.beat("job", "stale")
    metrics.bad_head()
    metrics.policy_read(ok=False)
    metrics.mode = "draining"
    series = read(metrics)
    assert value(series, "headgate_upstream_retries_total", upstream="e2b", route="create") == 1
    assert value(series, "headgate_progress_total", sink="job", result="stale") == 1
    assert value(series, "headgate_bad_messages_total") == 1
    assert value(series, "headgate_policy_reload_total", result="error") == 1
    assert value(series, "headgate_policy_stale") == 1
    assert value(series, "headgate_mode", mode="draining") == 1
    assert value(series, "headgate_mode", mode="normal") == 0
    metrics.policy_read(ok=True)
    assert value(read(metrics), "headgate_policy_stale") == 0


def test_a_reload_adds_series_and_loses_no_counts() -> None:
    metrics = fresh()
    metrics.finished(RequestRecord("GET", "/x", "e2b", "rest"))
    metrics.policy_in_force(policy(TEXT.replace("name: rest", "name: others")))
    series = read(metrics)
    assert value(series, "headgate_requests_total", upstream="e2b", route="rest", outcome="ok") == 1
    assert value(series, "headgate_requests_total", upstream="e2b", route="others", outcome="ok") == 0


async def test_pools_are_summed_by_known_tenant() -> None:
    store = MemoryStore(policy(), asyncio.get_running_loop())
    metrics = Metrics(store.view)
    metrics.policy_in_force(policy())
    visits = [store.arrive(arrival(f"batch-{n % 3}", f"b{n}")) for n in range(12)]
    visits += [store.arrive(arrival("acme", f"a{n}")) for n in range(9)]
    series = read(metrics)
    assert value(series, "headgate_seats_held", limit="creates", tenant="other") == 6
    assert value(series, "headgate_seats_limit", limit="creates", tenant="other") == 6
    assert value(series, "headgate_seats_held", limit="creates", tenant="acme") == 8
    assert value(series, "headgate_seats_limit", limit="creates", tenant="acme") == 8
    assert value(series, "headgate_seats_held", limit="shared", tenant="") == 14
    assert value(series, "headgate_queue_waiting", route="create", tenant="other") == 6
    assert value(series, "headgate_queue_waiting", route="create", tenant="acme") == 1
    assert not any("batch" in label for _, labels in series for _, label in labels)
    for visit in visits:
        visit.leave()
    series = read(metrics)
    assert value(series, "headgate_seats_held", limit="creates", tenant="acme") == 0
    assert value(series, "headgate_queue_waiting", route="create", tenant="other") == 0
    store.close()


def test_two_processes_in_one_share_nothing() -> None:
    one, other = fresh(), fresh()
    one.bad_head()
    assert value(read(one), "headgate_bad_messages_total") == 1
    assert value(read(other), "headgate_bad_messages_total") == 0


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    text, content_type = fresh().text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
