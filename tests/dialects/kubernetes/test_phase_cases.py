"""The thirty cases of kubernetes.md §4.2, each with the variations that its row names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.phase import verdict
from proxy.dialects.kubernetes.pod import pod_of
from proxy.dialects.kubernetes.truth import told
from proxy.domain.pods import Decide, PodRules
from tests.support.pod_states import (
    Json,
    condition,
    conditions,
    container_status,
    incident_pod,
    pod,
    running,
    terminated,
    waiting,
)

RULES: Final = PodRules(main_containers=("sandbox", "agent"))
ANY: Final = replace(RULES, decide=Decide.ANY)
AUTHORITATIVE: Final = replace(RULES, authoritative=True)
THREE: Final = replace(RULES, max_restarts=3)


@dataclass(frozen=True)
class Row:
    """One variation of a case: the pod, and what is said of it."""

    case: int
    name: str
    pod: Json
    say: str | None = None
    """None: what the API server says is left."""
    reason: str = ""
    rules: PodRules = RULES


def main(state: Json, *, last: Json | None = None, restarts: int = 0) -> Json:
    """The status of the main container ``sandbox``."""
    return container_status("sandbox", state, last=last, restarts=restarts)


def one(state: Json, **more: Any) -> Json:
    """A pod with this state of its main and a sidecar that runs."""
    return pod(main(state), SIDECAR, **more)


def two(first: Json, second: Json) -> Json:
    """A pod with two mains and a sidecar that runs."""
    return pod(main(first), container_status("agent", second), SIDECAR)


def cleared(**more: Any) -> Json:
    """A pod that failed because of its sidecar alone."""
    return pod(main(ZERO), SIDECAR_143, phase="Failed", **more)


def uninitialised(init: Json, *, phase: str = "Pending", **more: Any) -> Json:
    """A pod whose main waits for an init container in this state."""
    statuses = [container_status("init", init, last=ONE)]
    return one(waiting("PodInitializing"), phase=phase, inits=[{"name": "init"}], init_statuses=statuses, **more)


def native(name: str, state: Json, **spec: Any) -> dict[str, Any]:
    """A native sidecar in this state, for ``pod``."""
    container = {"name": name, **spec, "restartPolicy": "Always"}
    return {"inits": [container], "init_statuses": [container_status(name, state)]}


def own(policy: str, *rules: Json) -> Json:
    """What the spec of the main says about its own restarts."""
    return {"sandbox": {"restartPolicy": policy, "restartPolicyRules": list(rules)}}


def rule(action: str, operator: str, *values: int) -> Json:
    """One of ``restartPolicyRules``."""
    return {"action": action, "exitCodes": {"operator": operator, "values": list(values)}}


def debugger(state: Json) -> Json:
    """An ephemeral container, for the status."""
    return {"ephemeralContainerStatuses": [container_status("debugger", state)]}


def all_restart(status: str) -> Json:
    """KEP-5532's condition, for the status."""
    return {"conditions": [*conditions(ready=False), condition("AllContainersRestarting", status)]}


SIDECAR: Final = container_status("sidecar", running())
SIDECAR_143: Final = container_status("sidecar", terminated(143))
PULLED_NEVER: Final = container_status("sidecar", waiting("ImagePullBackOff"))
KILLED, ZERO, ONE = terminated(137, "OOMKilled"), terminated(0), terminated(1)
LOST: Final = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}}
LOOPED: Final = main(running(), restarts=3)
ALWAYS: Final[dict[str, Any]] = {"restart_policy": "Always"}
RESTART_42: Final = rule("Restart", "In", 42)
EVERY_42: Final = {"restartPolicy": "Never", "restartPolicyRules": [rule("RestartAllContainers", "In", 42)]}
MIRROR: Final = {"kubernetes.io/config.mirror": "abc", "headgate.dev/main-container": "sandbox"}
MAIN_DEBUGGER: Final = {"headgate.dev/main-container": "debugger"}
BY_ANNOTATION: Final = {"headgate.dev/main-container": "sandbox,proxy"}
NODE_LOST: Final = {"reason": "NodeLost", "conditions": [condition("Ready", "Unknown", reason="NodeStatusUnknown")]}
PULLING: Final = (
    "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
    "ContainerCreating",
)  # fmt: skip
ALREADY: Final = ("Evicted", "Preempting", "DeadlineExceeded", "NodeShutdown", "UnexpectedAdmissionError", "Terminated")

ROWS: Final = [
    Row(1, "OOMKilled, sidecar runs", incident_pod(), "Failed", "OOMKilled"),
    Row(1, "sidecar named first", pod(SIDECAR, main(KILLED)), "Failed", "OOMKilled"),
    Row(2, "Error", one(ONE), "Failed", "Error"),
    Row(2, "137 without OOMKilled", one(terminated(137)), "Failed", "Error"),
    Row(2, "StartError", one(terminated(128, "StartError")), "Failed", "StartError"),
    Row(2, "ContainerCannotRun", one(terminated(127, "ContainerCannotRun")), "Failed", "ContainerCannotRun"),
    Row(2, "ContainerStatusUnknown", one(LOST), "Failed", "ContainerStatusUnknown"),
    Row(2, "no reason", one({"terminated": {"exitCode": 3}}), "Failed", "Error"),
    Row(2, "a code below zero", one(terminated(-1)), "Failed", "Error"),
    Row(3, "exit 0", one(ZERO), "Succeeded", "Completed"),
    Row(3, "exit 0 without a reason", one({"terminated": {"exitCode": 0}}), "Succeeded", "Completed"),
    Row(4, "OnFailure, exit 0", one(ZERO, restart_policy="OnFailure"), "Succeeded", "Completed"),
    Row(5, "OnFailure, non-zero", one(ONE, restart_policy="OnFailure")),
    Row(6, "Always, 137", one(KILLED, restart_policy="Always")),
    Row(6, "Always, 0", one(ZERO, restart_policy="Always")),
    Row(6, "no policy is Always", one(ZERO, restart_policy=None)),
    Row(7, "Never, container Always", one(KILLED, specs=own("Always"))),
    Row(7, "Always, container Never", one(KILLED, restart_policy="Always", specs=own("Never")), "Failed"),
    Row(7, "Always, container OnFailure, 0", one(ZERO, restart_policy="Always", specs=own("OnFailure")), "Succeeded"),
    Row(7, "a rule restarts this code", one(terminated(42), specs=own("Never", RESTART_42))),
    Row(7, "a rule restarts another", one(ONE, specs=own("Never", RESTART_42)), "Failed"),
    Row(8, "CrashLoopBackOff", pod(main(waiting("CrashLoopBackOff"), last=ONE), SIDECAR)),
    Row(8, "CrashLoopBackOff, Always", pod(main(waiting("CrashLoopBackOff"), last=ONE), restart_policy="Always")),
    *(
        Row(9, f"{count} of 3 restarts, {name}, {policy}", shown, "Failed" if count >= 3 else None, "Error", THREE)
        for count in (2, 3, 9)
        for name, state in (("waiting", waiting("CrashLoopBackOff")), ("running", running()), ("ended", ONE))
        for policy in ("Always", "OnFailure")
        for shown in [pod(main(state, restarts=count, last=ONE), SIDECAR, restart_policy=policy)]
    ),
    Row(9, "not restartable", pod(main(running(), restarts=9), SIDECAR), rules=THREE),
    Row(9, "restartable by a rule", pod(LOOPED, specs=own("Never", RESTART_42)), "Failed", "Error", THREE),
    Row(9, "OOMKilled last", pod(main(running(), restarts=3, last=KILLED), **ALWAYS), "Failed", "OOMKilled", THREE),
    Row(9, "ended with 0", pod(main(running(), restarts=3, last=ZERO), **ALWAYS), "Failed", "Error", THREE),
    Row(9, "no trace of the last run", pod(LOOPED, **ALWAYS), "Failed", "Error", THREE),
    Row(9, "one of two mains", pod(LOOPED, container_status("agent", running()), **ALWAYS), rules=THREE),
    Row(10, "sidecar OOMKilled", pod(main(running()), container_status("sidecar", KILLED))),
    Row(10, "sidecar done", pod(main(running()), container_status("sidecar", ZERO))),
    Row(11, "one failed, one runs", two(ONE, running())),
    Row(11, "one failed, one runs, any", two(running(), KILLED), "Failed", "OOMKilled", ANY),
    Row(11, "one done, one runs, any", two(ZERO, running()), rules=ANY),
    Row(11, "both done, any", two(ZERO, ZERO), "Succeeded", "Completed", ANY),
    Row(11, "both done", two(ZERO, ZERO), "Succeeded", "Completed"),
    Row(11, "the second failed: its reason", two(ZERO, KILLED), "Failed", "OOMKilled"),
    Row(11, "both failed: the first named", pod(container_status("agent", KILLED), main(ONE)), "Failed", "Error"),
    Row(12, "main not reported", pod(SIDECAR, specs={"sandbox": {}})),
    Row(12, "nothing reported", pod(specs={"sandbox": {}}, phase="Pending", status={"containerStatuses": None})),
    Row(12, "second main not reported", pod(main(ONE), specs={"agent": {}})),
    *(Row(13, reason, one(waiting(reason), phase="Pending")) for reason in PULLING),
    Row(14, "sidecar never started", pod(main(KILLED), PULLED_NEVER, phase="Pending"), "Failed", "OOMKilled"),
    Row(14, "sidecar not reported", pod(main(ZERO), specs={"sidecar": {}}, phase="Pending"), "Succeeded", "Completed"),
    Row(15, "init failed", uninitialised(ONE, phase="Failed")),
    Row(16, "init fails, OnFailure", uninitialised(waiting("CrashLoopBackOff"), restart_policy="OnFailure")),
    Row(16, "init fails, Always", uninitialised(waiting("CrashLoopBackOff"), restart_policy="Always")),
    Row(17, "a native sidecar named as main", pod(main(KILLED), **native("agent", running()))),
    Row(17, "an init container named as main", pod(main(KILLED), inits=[{"name": "agent"}])),
    Row(17, "named so by annotation", pod(main(KILLED), annotations=BY_ANNOTATION, **native("proxy", running()))),
    Row(18, "native sidecar runs", pod(main(ZERO), **native("proxy", running())), "Succeeded", "Completed"),
    Row(18, "native sidecar ended", pod(main(KILLED), **native("proxy", terminated(143))), "Failed", "OOMKilled"),
    *(Row(19, why, one(KILLED, phase="Failed", status={"reason": why})) for why in ALREADY),
    *(Row(19, f"{why}, authoritative", cleared(status={"reason": why}), rules=AUTHORITATIVE) for why in ALREADY),
    Row(20, "a sidecar failed", cleared()),
    Row(20, "authoritative", cleared(), "Succeeded", "Completed", AUTHORITATIVE),
    Row(20, "authoritative, main failed too", pod(main(ONE), SIDECAR_143, phase="Failed"), rules=AUTHORITATIVE),
    Row(20, "authoritative, no sidecar failed", one(ZERO, phase="Failed"), rules=AUTHORITATIVE),
    Row(20, "authoritative, other main unknown", cleared(specs={"agent": {}}), rules=AUTHORITATIVE),
    Row(20, "authoritative, Always", cleared(restart_policy="Always"), rules=AUTHORITATIVE),
    Row(21, "deleting, main final", incident_pod(deleting=True), "Failed", "OOMKilled"),
    Row(22, "deleting, main runs", one(running(), deleting=True)),
    Row(23, "deleting, Always", one(KILLED, deleting=True, restart_policy="Always")),
    Row(24, "node lost, main ran", one(running(), status=NODE_LOST)),
    Row(25, "node lost, main final", one(KILLED, status=NODE_LOST), "Failed", "NodeLost"),
    Row(26, "a debugger runs", incident_pod(status=debugger(running())), "Failed", "OOMKilled"),
    Row(26, "a debugger failed", one(running(), status=debugger(ONE))),
    Row(26, "a debugger named as main", incident_pod(annotations=MAIN_DEBUGGER, status=debugger(KILLED))),
    Row(27, "mirror pod", incident_pod(annotations=MIRROR)),
    Row(28, "all restart", one(KILLED, status=all_restart("True"))),
    Row(28, "all restart, Pending", one(KILLED, phase="Pending", status=all_restart("True"))),
    Row(28, "all restarted before", one(KILLED, status=all_restart("False")), "Failed"),
    Row(28, "ended to restart", one(terminated(137, "RestartingAllContainers"))),
    Row(28, "the main's rule restarts all", one(terminated(42), specs={"sandbox": EVERY_42})),
    Row(28, "a living sidecar's rule may", one(KILLED, specs={"sidecar": EVERY_42})),
    Row(28, "a native sidecar's rule may", pod(main(KILLED), **native("proxy", running(), **EVERY_42))),
    Row(28, "an ended sidecar's rule cannot", pod(main(KILLED), SIDECAR_143, specs={"sidecar": EVERY_42}), "Failed"),
    Row(29, "DELETED: the last state", incident_pod(deleting=True), "Failed", "OOMKilled"),
    Row(30, "Unknown", one(KILLED, phase="Unknown")),
    Row(30, "empty", one(KILLED, phase="")),
    Row(30, "none", {**one(KILLED), "status": {"containerStatuses": [main(KILLED)]}}),
    Row(30, "Succeeded stays", one(KILLED, phase="Succeeded")),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[f"case-{row.case:02}: {row.name}" for row in ROWS])
def test_what_is_said(row: Row) -> None:
    found = verdict(pod_of(row.pod), row.rules)
    assert (None if found is None else found.phase) == row.say
    changed = told(row.pod, row.rules)
    assert (None if changed is None else changed["status"]["phase"]) == row.say
    if changed is not None and row.reason:
        assert changed["status"]["reason"] == row.reason


def test_every_case_has_a_row() -> None:
    assert {row.case for row in ROWS} == set(range(1, 31))


@pytest.mark.parametrize("opting", [ANY, AUTHORITATIVE, THREE], ids=["any", "authoritative", "max_restarts"])
def test_an_opt_in_changes_nothing_that_was_said_without_it(opting: PodRules) -> None:
    for row in ROWS:
        if row.rules is RULES and row.say is not None:
            found = verdict(pod_of(row.pod), opting)
            assert found is not None and found.phase == row.say, row.name


Spoil = Callable[[Json], object]
SPOILS: Final[dict[str, Spoil]] = {
    "no spec": lambda pod: pod.pop("spec"),
    "no status": lambda pod: pod.pop("status"),
    "no metadata": lambda pod: pod.pop("metadata"),
    "no containers": lambda pod: pod["spec"].pop("containers"),
    "null containers": lambda pod: pod["spec"].update(containers=None),
    "no statuses": lambda pod: pod["status"].pop("containerStatuses"),
    "no phase": lambda pod: pod["status"].pop("phase"),
    "another kind": lambda pod: pod.update(kind="PodTemplate"),
    "an exit code that is no number": lambda pod: pod["status"]["containerStatuses"][0].update(
        state={"terminated": {"exitCode": "0"}}
    ),
    "no exit code": lambda pod: pod["status"]["containerStatuses"][0].update(state={"terminated": {}}),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_pod_that_lacks_what_decides_is_left(spoil: Spoil) -> None:
    spoilt = incident_pod()
    spoil(spoilt)
    assert told(spoilt, RULES) is None
