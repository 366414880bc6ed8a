"""The fake API server as a process of its own."""

from __future__ import annotations

from pathlib import Path

from proxy.fakes import KubernetesConfig
from proxy.fakes.__main__ import build, parser
from proxy.fakes.kubernetes_faults import Fault
from tests.fakes.client import client
from tests.fakes.test_processes import running
from tests.support.pods import NAMESPACE, PODS, Stream, agent_pod, watching

JSON = {"Content_Type": "application/json", "Accept": "application/json"}


async def until_phase(stream: Stream, phase: str) -> None:
    while (await stream.event())["object"]["status"]["phase"] != phase:
        pass


async def test_a_container_is_ended_from_outside() -> None:
    async with running("kubernetes", "--fault", "get:2:undone:503") as (urls, _), client(urls["url"], **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        async with watching(urls["url"] + PODS) as stream:
            await until_phase(stream, "Running")
            assert (await call("POST", f"/_fake/end/{NAMESPACE}/a/sandbox/137")).status == 204
            pod = (await call("GET", f"{PODS}/a")).json
            ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            assert (ended["reason"], pod["status"]["phase"]) == ("OOMKilled", "Running")
            assert (await call("POST", f"/_fake/end/{NAMESPACE}/a/tool-server/0")).status == 204
            await until_phase(stream, "Failed")
        assert (await call("GET", f"{PODS}/a")).status == 503
        state = (await call("GET", "/_fake/state")).json
        assert state["calls"] == {"create": 1, "watch": 1, "get": 2}


def test_every_option_reaches_the_configuration() -> None:
    text = (
        "kubernetes --certificate c.pem --latency create=0.5 --latency list=2 --quota agents=5 --max-reading 3"
        " --max-writing 4 --bookmark-seconds 5 --watch-seconds 6 --schedule-seconds 7 --start-seconds 8"
        " --ready-seconds 9 --restart-seconds 10 --stop-seconds 11 --no-kubelet --fault create:2:done:reset"
    )
    assert build(parser().parse_args(text.split())).config == KubernetesConfig(
        certificate=Path("c.pem"),
        latency={"create": 0.5, "list": 2.0},
        quota={"agents": 5},
        max_reading=3,
        max_writing=4,
        bookmark_seconds=5.0,
        watch_seconds=6.0,
        schedule_seconds=7.0,
        start_seconds=8.0,
        ready_seconds=9.0,
        restart_seconds=10.0,
        stop_seconds=11.0,
        kubelet=False,
        faults=(Fault("create", 2, 2, True, "reset"),),
    )
