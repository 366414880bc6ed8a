"""What is counted, and its text for Prometheus (design.md §2.11). One object per process, with its own registry.

Rules: labels are bounded (names of the policy, a fixed set of results; never a caller's text); series whose
labels are known stand at 0 from the start; counting is a dictionary and a list, because it runs for every
request. Gauges of pools are read when asked for, in :mod:`.pools`.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, get_args

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.admission.view import StoreView
from proxy.dialects.translation import PassedAsItWas
from proxy.observe.buckets import LAG_BOUNDS, PHASE_BOUNDS, WAIT_BOUNDS, Buckets
from proxy.observe.pools import PoolSeries
from proxy.policy.policyset import Hold, PolicySet
from proxy.ports import BeatResult, CallersView, HoldEnd, LookResult, Outcome, RequestRecord

MODES: Final = ("normal", "draining")
"""What ``headgate_mode`` tells apart. A shared store adds its own (learning, local share)."""

PHASES: Final = ("admit", "connect", "upstream", "relay")

_OUTCOMES: Final = get_args(Outcome)
_RESULTS: Final = get_args(BeatResult)
_PASSED: Final = get_args(PassedAsItWas)


class Metrics(Collector):
    """Counters and histograms of one process. Belongs to one event loop; nothing here blocks."""

    def __init__(
        self,
        view: Callable[[int], StoreView],
        dropped_lines: Callable[[], int] = int,
        callers: Callable[[], CallersView] = CallersView,
    ) -> None:
        """Each is asked at every scrape: the store's view, the access log's count, the callers' front."""
        self.registry = CollectorRegistry()
        self.mode = "normal"
        """One of :data:`MODES`."""
        self.policy_stale = False
        """Whether the last file read was bad."""
        self._dropped_lines = dropped_lines
        self._callers = callers
        self._requests: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._retries: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._beats: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._reloads = {"ok": 0, "error": 0}
        self._bad_messages = 0
        self._pods_rewritten = 0
        self._pods_passed = dict.fromkeys(_PASSED, 0)
        self._looks: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._holds_ended: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._waits: defaultdict[str, Buckets] = defaultdict(lambda: Buckets(WAIT_BOUNDS))
        self._phases = {phase: Buckets(PHASE_BOUNDS) for phase in PHASES}
        self._admit, self._connect, self._upstream, self._relay = (self._phases[p].observe for p in PHASES)
        self._lag = Buckets(LAG_BOUNDS)
        self._pools = PoolSeries(view)
        self.registry.register(self)
        self.registry.register(self._pools)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def policy_in_force(self, policies: PolicySet) -> None:
        """From now on this policy decides: its names have series, those of older ones keep theirs."""
        for upstream in policies.upstreams:
            self._know(upstream, "")
        for outcome in _OUTCOMES:
            self._requests["", "", outcome] += 0
        for route in policies.routes:
            self._know(route.match.upstream, route.name)
            if any(policies.limits[name].hold is Hold.READY for name in route.limits):
                self._know_holds(route.match.upstream, route.name)
            if route.limits:
                self._waits[route.name]
        for sink in policies.sinks:
            for result in _RESULTS:
                self._beats[sink, result] += 0
        self._pools.policy_in_force(policies)

    def policy_read(self, ok: bool) -> None:
        """A policy was read again, and taken over or found bad."""
        self._reloads["ok" if ok else "error"] += 1
        self.policy_stale = not ok

    def finished(self, record: RequestRecord) -> None:
        """Count one request. Runs for every one of them: about a microsecond."""
        self._requests[record.upstream, record.route, record.outcome] += 1
        if record.route:
            self._admit(record.waited)
            if record.queued:
                self._waits[record.route].observe(record.waited)
        if record.connect:
            self._connect(record.connect)
        if record.upstream_seconds:
            self._upstream(record.upstream_seconds)
            self._relay(record.relay)

    def retried(self, upstream: str, route: str) -> None:
        """Count one more try."""
        self._retries[upstream, route] += 1

    def beat(self, sink: str, result: str) -> None:
        """Count one progress beat."""
        self._beats[sink, result] += 1

    def bad_head(self) -> None:
        """Count one message that was none."""
        self._bad_messages += 1

    def pod_rewritten(self) -> None:
        """Count one pod whose phase was told as it is."""
        self._pods_rewritten += 1

    def pod_passed(self, why: PassedAsItWas) -> None:
        """Count what passed with its own bytes though it may have needed a change."""
        self._pods_passed[why] += 1

    def looked(self, upstream: str, result: LookResult) -> None:
        """Count one look of our own at a starting pod."""
        self._looks[upstream, result] += 1

    def hold_ended(self, route: str, why: HoldEnd) -> None:
        """Count one create whose seats of ``hold: ready`` are free again."""
        self._holds_ended[route, why] += 1

    def lag(self, seconds: float) -> None:
        """Count one look at how late the event loop is."""
        self._lag.observe(seconds)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Every series now, and its content type, as the ``Accept`` header wants it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterable[Metric]:
        """The registry's view of what is counted here."""
        requests = CounterMetricFamily(
            "headgate_requests", "Requests that are over.", labels=("upstream", "route", "outcome")
        )
        retries = CounterMetricFamily(
            "headgate_upstream_retries", "Further tries after a first.", labels=("upstream", "route")
        )
        beats = CounterMetricFamily("headgate_progress", "Progress beats that were due.", labels=("sink", "result"))
        reloads = CounterMetricFamily("headgate_policy_reload", "Policies read again.", labels=("result",))
        for family, counts in ((requests, self._requests), (retries, self._retries), (beats, self._beats)):
            for labels, count in counts.items():
                family.add_metric(labels, count)
        for result, count in self._reloads.items():
            reloads.add_metric((result,), count)
        yield from (requests, retries, beats, reloads)
        yield from self._pods()
        yield from self._holds()
        yield from self._histograms()
        yield from self._connected()
        yield from self._process()

    def _holds(self) -> Iterable[Metric]:
        ended = CounterMetricFamily(
            "headgate_ready_holds_ended", "Creates whose seats of hold: ready are free again.", labels=("route", "why")
        )
        looks = CounterMetricFamily(
            "headgate_looks", "Looks of Headgate's own at starting pods.", labels=("upstream", "result")
        )
        for family, counts in ((ended, self._holds_ended), (looks, self._looks)):
            for labels, count in counts.items():
                family.add_metric(labels, count)
        yield from (ended, looks)

    def _pods(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "headgate_pods_rewritten", "Pods whose phase was told as it is.", self._pods_rewritten
        )
        passed = CounterMetricFamily(
            "headgate_pods_passed", "What passed as it was though it may have needed a change.", labels=("why",)
        )
        for why, count in self._pods_passed.items():
            passed.add_metric((why,), count)
        yield passed

    def _histograms(self) -> Iterable[Metric]:
        waits = HistogramMetricFamily(
            "headgate_queue_wait_seconds", "Time in the queue, of requests that were queued.", labels=("route",)
        )
        for route, buckets in self._waits.items():
            buckets.add_to(waits, (route,))
        phases = HistogramMetricFamily("headgate_phase_seconds", "Where a request's time goes.", labels=("phase",))
        for phase, buckets in self._phases.items():
            buckets.add_to(phases, (phase,))
        lag = HistogramMetricFamily(
            "headgate_event_loop_lag_seconds", "How late the event loop's timers are.", labels=()
        )
        self._lag.add_to(lag, ())
        yield from (waits, phases, lag)

    def _connected(self) -> Iterable[Metric]:
        callers = self._callers()
        yield GaugeMetricFamily("headgate_callers", "Callers connected now.", callers.connected)
        yield GaugeMetricFamily("headgate_callers_bound", "Callers that may be connected at once.", callers.bound)
        crowded = CounterMetricFamily(
            "headgate_callers_crowded", "Callers that had to go for want of room.", labels=("result",)
        )
        crowded.add_metric(("gave_way",), callers.gave_way)
        crowded.add_metric(("turned_away",), callers.turned_away)
        yield crowded

    def _process(self) -> Iterable[Metric]:
        mode = GaugeMetricFamily("headgate_mode", "1 for the mode this process is in.", labels=("mode",))
        for name in dict.fromkeys((*MODES, self.mode)):
            mode.add_metric((name,), name == self.mode)
        build = GaugeMetricFamily("headgate_build_info", "Always 1.", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        yield from (mode, build)
        yield GaugeMetricFamily(
            "headgate_policy_stale", "1 while the last policy file read was bad.", self.policy_stale
        )
        yield CounterMetricFamily(
            "headgate_bad_messages", "Messages refused before they were requests.", self._bad_messages
        )
        yield CounterMetricFamily(
            "headgate_access_log_dropped", "Access log lines nobody took in time.", self._dropped_lines()
        )

    def _know_holds(self, upstream: str, route: str) -> None:
        for why in get_args(HoldEnd):
            self._holds_ended[route, why] += 0
        for result in get_args(LookResult):
            self._looks[upstream, result] += 0

    def _know(self, upstream: str, route: str) -> None:
        for outcome in _OUTCOMES:
            self._requests[upstream, route, outcome] += 0
        self._retries[upstream, route] += 0
