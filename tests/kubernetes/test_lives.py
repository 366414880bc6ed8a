"""Whole lives of pods on a real node, told beside the kubelet's own story (the cases of kubernetes.md §4.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cluster.acting import Pod, create, running_incident
from tests.cluster.api import Refused
from tests.cluster.pods import LIMIT, OOM, Json, obedient, pod, state_of
from tests.cluster.running import Cluster
from tests.kubernetes.ends import MARK, be_deaf, end, look, phase
from tests.kubernetes.front import Way
from tests.kubernetes.watching import Watch, watching


def has_ended(container: str) -> Any:
    """For :meth:`Watch.first`: the event that says so."""
    return lambda event: event.state(container) == "terminated"


def restarts(pod: Json, container: str) -> int:
    """How often the kubelet has started it again."""
    return next(int(one["restartCount"]) for one in pod["status"]["containerStatuses"] if one["name"] == container)


async def versions_agree(told: Watch, true: Watch) -> None:
    """Each version that the direct watch saw came here too."""
    for event in tuple(true.events):
        await told.version(event.version)


async def test_exit_0_is_success_and_stays_so(living: Pod, direct: Way, through: Way, namespace: str) -> None:
    async with watching(through, namespace) as told, watching(direct, namespace) as true:
        await end(living, sandbox=0)
        first = await told.first(has_ended("sandbox"))
        assert (first.phase, first.pod["status"]["reason"]) == ("Succeeded", "Completed")
        assert await phase(direct, living) == "Running"
        await end(living, sidecar=0)
        over = await true.first(lambda event: event.phase == "Succeeded")
        last = await told.version(over.version)
    assert last.pod == over.pod, "what the kubelet says itself is told as it is"
    assert told.phases == ["Running", "Succeeded"]


async def test_on_failure_exit_0_is_success(cluster: Cluster, through: Way, namespace: str) -> None:
    made = await running_incident(cluster, namespace, restartPolicy="OnFailure")
    await end(made, sandbox=0)
    assert await phase(through, made) == "Succeeded"


async def test_a_sidecar_that_dies_changes_nothing(living: Pod, direct: Way, through: Way, namespace: str) -> None:
    async with watching(through, namespace) as told:
        await end(living, sidecar=1)
        await told.first(has_ended("sidecar"))
    assert told.phases == ["Running"]
    assert await look(through, living) == await look(direct, living)


async def test_a_pod_that_is_deleted_goes_on_saying_that_it_has_failed(
    living: Pod, direct: Way, through: Way, namespace: str
) -> None:
    """Case 21: what is told never goes back, and the grace stays the pod's own (§6.1)."""
    await be_deaf(living, "sidecar")
    async with watching(through, namespace) as told, watching(direct, namespace) as true:
        await living.run_out_of_memory()
        await told.first(has_ended("sandbox"))
        gone = await asyncio.to_thread(lambda: through.api.delete(living.path, grace=600))
        assert (gone["status"]["phase"], gone["metadata"]["deletionGracePeriodSeconds"]) == ("Failed", 600)
        leaving = await told.first(lambda event: "deletionTimestamp" in event.pod["metadata"])
        assert leaving.phase == "Failed"
        assert state_of(await look(through, living), "sidecar")[0] == "running"
        await living.delete()
        last = await told.first(lambda event: event.kind == "DELETED")
        await true.first(lambda event: event.kind == "DELETED")
        await versions_agree(told, true)
    assert last.phase == "Failed"
    assert told.phases == ["Running", "Failed"]


async def test_a_pod_that_is_deleted_while_it_runs_is_told_as_it_is(
    living: Pod, direct: Way, through: Way, namespace: str
) -> None:
    async with watching(through, namespace) as told, watching(direct, namespace) as true:
        await asyncio.to_thread(lambda: through.api.delete(living.path, grace=600))
        leaving = await told.first(lambda event: "deletionTimestamp" in event.pod["metadata"])
        assert leaving.pod == (await true.version(leaving.version)).pod
        assert leaving.phase == "Running"
    await living.delete()


async def test_a_native_sidecar(cluster_with_node: Cluster, direct: Way, through: Way, namespace: str) -> None:
    """Case 18: Kubernetes tells the truth itself, seconds later."""
    native = {**obedient("sidecar"), "restartPolicy": "Always"}
    both = pod("native", [obedient("sandbox", memory=LIMIT)], initContainers=[native])
    async with watching(through, namespace) as told, watching(direct, namespace) as true:
        made = await create(cluster_with_node, namespace, both)
        await made.until_running()
        await made.order("sandbox", OOM)
        first = await told.first(has_ended("sandbox"))
        beside = await true.version(first.version)
        over = await true.first(lambda event: event.phase == "Failed")
        last = await told.version(over.version)
        await versions_agree(told, true)
    assert (first.phase, beside.phase) == ("Failed", "Running")
    assert last.pod == over.pod
    assert told.phases == ["Pending", "Running", "Failed"]


async def test_what_will_be_restarted_is_not_over(
    cluster_with_node: Cluster, direct: Way, through: Way, namespace: str
) -> None:
    """Cases 5, 6 and 8: with Always, and with OnFailure after a failure, the kubelet starts it again."""
    async with watching(through, namespace) as told, watching(direct, namespace) as true:
        pods = await asyncio.gather(
            running_incident(cluster_with_node, namespace, "always", restartPolicy="Always"),
            running_incident(cluster_with_node, namespace, "on-failure", restartPolicy="OnFailure"),
        )
        for made in pods:
            await made.order("sandbox", "exit 3")
            await made.until(lambda pod: restarts(pod, "sandbox") == 1, "it runs again")
        await versions_agree(told, true)
    assert {event.phase for event in told.events} == {"Pending", "Running"}
    assert [event.pod for event in told.events] == [event.pod for event in true.events]


async def test_a_main_that_was_over_before_its_sidecar_ever_started(
    cluster_with_node: Cluster, direct: Way, through: Way, namespace: str
) -> None:
    """Case 14: the API server says Pending, although the work is over."""
    never = {**obedient("sidecar"), "image": "headgate.test/none:1"}
    made = await create(cluster_with_node, namespace, pod("never", [obedient("sandbox"), never]))
    await made.until(lambda pod: state_of(pod, "sandbox")[0] == "running")
    await made.order("sandbox", "exit 4")
    await made.until_terminated("sandbox")
    assert (await phase(direct, made), await phase(through, made)) == ("Pending", "Failed")


async def test_a_stored_failure_that_the_kubelet_says_itself_stays_its_own(
    cluster: Cluster, direct: Way, through: Way, namespace: str
) -> None:
    made = await running_incident(cluster, namespace)
    await end(made, sidecar=0, sandbox=5)
    await made.until(lambda pod: pod["status"]["phase"] == "Failed", "the kubelet says it")
    true, told = await look(direct, made), await look(through, made)
    assert told == true
    assert MARK not in [one["type"] for one in told["status"]["conditions"]]


async def test_the_pod_is_gone_for_everybody(living: Pod, through: Way) -> None:
    await asyncio.to_thread(lambda: through.api.delete(living.path, grace=0))
    with pytest.raises(Refused, match="404"):
        await look(through, living)
