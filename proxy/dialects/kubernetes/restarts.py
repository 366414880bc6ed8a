"""Whether the kubelet starts a container again after it ended (kubernetes.md §3.2).

A port of the kubelet's ContainerShouldRestart and ShouldAllContainersRestart (pkg/api/v1/pod/util.go and
pkg/kubelet/container/helpers.go; KEP-5307 since 1.34, KEP-5532 since 1.35). Where a pod uses what is not known here,
the answer is that it does restart: then nothing is said of it.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.kubernetes.pod import Container, ContainerStatus, Pod, RestartRule, named

RESTARTING_ALL: Final = "RestartingAllContainers"
"""The reason of a container that was ended only to be started anew with all others (KEP-5532)."""
_RESTART_ALL: Final = "RestartAllContainers"


def will_restart(pod: Pod, container: Container, exit_code: int) -> bool:
    """Whether this container is due to run again after this exit code.

    The first rule that matches, then the container's own policy, then the pod's, which is Always unless said.
    """
    rule = _matching(container, exit_code)
    if rule is not None and (container.restart_policy is not None or rule.action == _RESTART_ALL):
        return True  # the one other known action is Restart; a newer one means what nobody here can tell
    for policy in (container.restart_policy, None if pod.spec is None else pod.spec.restart_policy):
        match policy:
            case "Never":
                return False
            case "OnFailure":
                return exit_code != 0
            case "Always":
                return True
    return True


def restartable(pod: Pod, container: Container) -> bool:
    """Whether any exit code makes this container run again (the kubelet's IsContainerRestartable)."""
    if container.restart_policy is not None:
        return bool(container.restart_policy_rules) or container.restart_policy != "Never"
    return pod.spec is None or pod.spec.restart_policy != "Never"


def all_may_restart(pod: Pod) -> bool:
    """Whether all containers restart now, or one that is not final may still make them, ended ones too (KEP-5532)."""
    if pod.spec is None or pod.status is None:
        return False
    condition = pod.status.condition("AllContainersRestarting")
    if condition is not None and condition.status == "True":
        return True
    return _one_may(pod, pod.spec.containers, pod.status.container_statuses) or _one_may(
        pod, pod.spec.init_containers, pod.status.init_container_statuses
    )


def _one_may(pod: Pod, containers: list[Container] | None, statuses: list[ContainerStatus] | None) -> bool:
    for container in containers or ():
        rules = container.restart_policy_rules
        may = rules and any(rule.action == _RESTART_ALL for rule in rules)
        if may and not _settled(pod, container, named(statuses, container.name)):
            return True
    return False


def _settled(pod: Pod, container: Container, status: ContainerStatus | None) -> bool:
    ended = None if status is None else status.ended
    return ended is not None and not will_restart(pod, container, ended.exit_code)


def _matching(container: Container, exit_code: int) -> RestartRule | None:
    """The first rule about this exit code; one with an unknown operator is skipped, as the kubelet does."""
    for rule in container.restart_policy_rules or ():
        if rule.exit_codes is not None:
            listed = exit_code in (rule.exit_codes.values or ())
            if rule.exit_codes.operator == ("In" if listed else "NotIn"):
                return rule
    return None
