"""Every fault between Headgate and an API server, under a small burst: no invariant breaks, and the judge judges."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import aiohttp
import pytest

from chaos.cluster import POLICY
from chaos.faults import POD_FAULTS, Fault
from chaos.pod_report import Informed, PodReport, broken_pods
from chaos.pod_storm import run_pods
from chaos.storm import Size
from chaos.toxics import Toxiproxy
from proxy.fakes import FakeKubernetes, KubernetesConfig
from proxy.fakes.kubernetes_faults import Fault as ServerFault
from tests.support.pods import NAMESPACE, PODS, agent_pod
from tests.support.proxies import running

LOSES = ("timeout, replies", "stuck, replies", "reset_peer, replies")
SMALL = Size(callers=24, seats=6)


@pytest.mark.parametrize("fault", POD_FAULTS, ids=lambda fault: fault.name)
async def test_no_invariant_breaks(server: Toxiproxy, fault: Fault) -> None:
    report = await run_pods(server, fault, SMALL)
    assert broken_pods(report) == []
    if fault.effect != "passes":
        cut = report.watches > len(report.informed)
        assert report.served < report.asked or cut, "the fault hit nobody, so this run shows nothing"
        assert cut or fault.spares_watches, "no watch was cut, so this run shows nothing of them"
    if fault.name in LOSES:
        assert report.lost > 0, "every reply arrived, so this run shows nothing of lost ones"


@pytest.mark.parametrize("how", ["reset", "close", "truncate"])
async def test_a_create_whose_reply_is_lost_is_not_sent_twice(how: str) -> None:
    config = KubernetesConfig(faults=(ServerFault("create", 1, 1, True, how),))
    async with FakeKubernetes(config) as kube, aiohttp.ClientSession() as session:
        async with running(POLICY.format(kube=kube.url, seats=2)) as proxy:
            async with session.post(proxy.url + PODS, json=agent_pod("a")) as reply:
                said = await reply.json()
                assert (reply.status, said["kind"], said["reason"]) == (504, "Status", "Timeout")
                assert "Retry-After" not in reply.headers, "client-go would create it again"
            assert kube.seen.created == [f"{NAMESPACE}/a"]
            async with session.post(proxy.url + PODS, json=agent_pod("a")) as again:
                assert (await again.json())["reason"] == "AlreadyExists"
        assert len(kube.seen.of("create")) == 2


async def test_a_cap_that_does_not_hold_is_seen(server: Toxiproxy) -> None:
    """The control: with more seats than the API server takes, the same run must be found broken."""
    report = await run_pods(server, POD_FAULTS[0], replace(SMALL, cap=5))
    assert "6 creates under way, and 5 seats" in broken_pods(report)


INFORMED = Informed(lists=1, watches=2, due=[3, 4, 5], shown=[3, 4, 5], untrue=[], differs=[])
REPORT = PodReport(
    fault="none",
    harmless=True,
    cap=2,
    asked=1,
    outcomes=Counter({"201": 1}),
    peak=2,
    unnoticed=0,
    cut=0,
    lost=0,
    twice=[],
    denied=[],
    mixed_up=[],
    blocked=[],
    informed=[INFORMED],
    left={},
    recovered=4,
    recovering=4,
    seconds=1.0,
)


def test_a_good_run_breaks_nothing() -> None:
    assert broken_pods(REPORT) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"peak": 3},
        {"unnoticed": 1},
        {"twice": [1]},
        {"denied": [1]},
        {"mixed_up": [1]},
        {"blocked": ["get"]},
        {"asked": 2, "harmless": False},
        {"outcomes": Counter({"500": 1}), "harmless": False},
        {"outcomes": Counter({"504": 1})},
        {"left": {"seats": 1}},
        {"recovered": 3},
        {"informed": [replace(INFORMED, shown=[3, 5])]},
        {"informed": [replace(INFORMED, shown=[3, 4, 4, 5])]},
        {"informed": [replace(INFORMED, shown=[4, 3, 5])]},
        {"informed": [replace(INFORMED, shown=[3, 4, 5, 6])]},
        {"informed": [replace(INFORMED, lists=2)]},
        {"informed": [replace(INFORMED, untrue=[4])]},
        {"informed": [replace(INFORMED, differs=["a"])]},
    ],
    ids=lambda changes: str(sorted(changes)[0]),
)
def test_each_broken_invariant_is_seen(changes: dict[str, object]) -> None:
    assert len(broken_pods(replace(REPORT, **changes))) == 1  # type: ignore[arg-type]
