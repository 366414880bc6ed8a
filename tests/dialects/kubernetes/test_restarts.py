"""Whether a container runs again: the kubelet's ContainerShouldRestart as a table, and what makes all run again."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from proxy.dialects.kubernetes.pod import Container, Pod, Spec, pod_of
from proxy.dialects.kubernetes.restarts import all_may_restart, restartable, will_restart
from tests.support.pod_states import condition, container_status, pod, running, terminated, waiting

POLICIES: Final = {
    # pod, container: exit codes 0 and 1
    ("Never", None): (False, False),
    ("OnFailure", None): (False, True),
    ("Always", None): (True, True),
    (None, None): (True, True),
    ("Sometimes", None): (True, True),
    ("Never", "Always"): (True, True),
    ("Never", "OnFailure"): (False, True),
    ("Always", "Never"): (False, False),
    ("Always", "OnFailure"): (False, True),
    ("OnFailure", "Never"): (False, False),
    ("Never", "Sometimes"): (False, False),
    ("OnFailure", "Sometimes"): (False, True),
}


def rule(operator: str, *values: int, action: str = "Restart") -> dict[str, Any]:
    return {"action": action, "exitCodes": {"operator": operator, "values": list(values)}}


def container(policy: str | None, *rules: dict[str, Any], **more: Any) -> Container:
    return msgspec.convert(
        {"name": "sandbox", "restartPolicy": policy, "restartPolicyRules": list(rules), **more}, Container
    )


def of(policy: str | None) -> Pod:
    return Pod(spec=Spec(restart_policy=policy))


@pytest.mark.parametrize(("policies", "codes"), POLICIES.items(), ids=[f"{p}, own {c}" for p, c in POLICIES])
def test_policies(policies: tuple[str | None, str | None], codes: tuple[bool, bool]) -> None:
    outer, own = policies
    assert tuple(will_restart(of(outer), container(own), code) for code in (0, 1)) == codes
    assert will_restart(of(outer), container(own), 137) == codes[1]
    assert will_restart(of(outer), container(own), -1) == codes[1]


RULES: Final[dict[str, tuple[list[dict[str, Any]], int, bool]]] = {
    "in": ([rule("In", 41, 42)], 42, True),
    "not in it": ([rule("In", 41, 42)], 43, False),
    "notin": ([rule("NotIn", 42)], 1, True),
    "not notin": ([rule("NotIn", 42)], 42, False),
    "in nothing": ([rule("In")], 0, False),
    "notin nothing": ([rule("NotIn")], 0, True),
    "values left out": ([{"action": "Restart", "exitCodes": {"operator": "NotIn"}}], 0, True),
    "zero": ([rule("In", 0)], 0, True),
    "the second": ([rule("In", 1), rule("In", 2)], 2, True),
    "no exit codes": ([{"action": "Restart"}], 1, False),
    "unknown operator": ([rule("Exists", 1)], 1, False),
    "unknown operator, then known": ([rule("Exists", 1), rule("In", 1)], 1, True),
    "all": ([rule("In", 1, action="RestartAllContainers")], 1, True),
    "all, another code": ([rule("In", 1, action="RestartAllContainers")], 2, False),
    "an action nobody knows yet": ([rule("In", 1, action="RestartPod")], 1, True),
}


@pytest.mark.parametrize(("rules", "code", "again"), RULES.values(), ids=RULES)
def test_rules_go_before_the_policy(rules: list[dict[str, Any]], code: int, *, again: bool) -> None:
    assert will_restart(of("Never"), container("Never", *rules), code) is again
    assert will_restart(of("Always"), container("Never", *rules), code) is again
    assert will_restart(of("Never"), container("Always", *rules), code) is True


def test_rules_count_only_beside_a_policy_of_the_containers_own() -> None:
    assert not will_restart(of("Never"), container(None, rule("In", 1)), 1)
    assert will_restart(of("Never"), container(None, rule("In", 1, action="RestartAllContainers")), 1)


def test_a_container_that_can_run_again_at_all() -> None:
    assert restartable(of("Always"), container(None))
    assert restartable(of("OnFailure"), container(None))
    assert restartable(of(None), container(None))
    assert restartable(Pod(), container(None))
    assert not restartable(of("Never"), container(None))
    assert not restartable(of("Always"), container("Never"))
    assert restartable(of("Never"), container("OnFailure"))
    assert restartable(of("Never"), container("Never", rule("In", 7)))


ALL_42: Final = {"restartPolicy": "Never", "restartPolicyRules": [rule("In", 42, action="RestartAllContainers")]}
INIT: Final = {"name": "init", **ALL_42}
SANDBOX: Final = container_status("sandbox", terminated(1))
MAY: Final = {
    "nobody has such a rule": (pod(SANDBOX, container_status("sidecar", running())), False),
    "a sidecar that runs": (pod(SANDBOX, container_status("sidecar", running()), specs={"sidecar": ALL_42}), True),
    "a sidecar that waits": (pod(SANDBOX, container_status("sidecar", waiting()), specs={"sidecar": ALL_42}), True),
    "a sidecar nobody reports": (pod(SANDBOX, specs={"sidecar": ALL_42}), True),
    "a sidecar that ended so": (
        pod(SANDBOX, container_status("sidecar", terminated(42)), specs={"sidecar": ALL_42}),
        True,
    ),
    "a sidecar that ended": (
        pod(SANDBOX, container_status("sidecar", terminated(1)), specs={"sidecar": ALL_42}),
        False,
    ),
    "the main itself, ended": (pod(SANDBOX, specs={"sandbox": ALL_42}), False),
    "an init container, done": (
        pod(SANDBOX, inits=[INIT], init_statuses=[container_status("init", terminated(0))]),
        False,
    ),
    "an init container, running": (
        pod(SANDBOX, inits=[INIT], init_statuses=[container_status("init", running())]),
        True,
    ),
    "a native sidecar, ended": (
        pod(
            SANDBOX,
            inits=[INIT | {"restartPolicy": "Always"}],
            init_statuses=[container_status("init", terminated(0))],
        ),
        True,
    ),
    "they restart now": (pod(SANDBOX, status={"conditions": [condition("AllContainersRestarting", "True")]}), True),
    "they restarted": (pod(SANDBOX, status={"conditions": [condition("AllContainersRestarting", "False")]}), False),
    "no spec": ({"status": {"phase": "Running"}}, False),
}


@pytest.mark.parametrize(("shown", "may"), MAY.values(), ids=MAY)
def test_who_may_make_all_run_again(shown: dict[str, Any], *, may: bool) -> None:
    assert all_may_restart(pod_of(shown)) is may
