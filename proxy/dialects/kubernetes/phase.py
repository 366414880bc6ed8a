"""The phase of a pod by its main containers alone: the rule of kubernetes.md §4.1, case by case in §4.2.

It is the kubelet's own rule applied to the mains, and only its terminal answers are used. A pure function of the pod,
so that GET, LIST and WATCH agree at one resource version. Monotonic: nothing starts a final container again, so what
was once Failed or Succeeded stays so for as long as the API server says Running or Pending.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.kubernetes.mains import mains
from proxy.dialects.kubernetes.pod import Container, ContainerStatus, Pod, Terminated, named
from proxy.dialects.kubernetes.restarts import RESTARTING_ALL, all_may_restart, restartable, will_restart
from proxy.domain.pods import Decide, PodRules

TERMINAL: Final = frozenset({"Failed", "Succeeded"})
_OPEN: Final = frozenset({"Running", "Pending"})


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a pod's phase is by its mains, and why."""

    phase: str
    """``Failed`` or ``Succeeded``."""
    reason: str
    """For ``status.reason``: the deciding container's, else ``Error`` or ``Completed``."""
    message: str
    """For ``status.message``; names the deciding container and its exit code."""
    cause: str
    """For the reason of our condition."""
    since: str | None
    """Since when, as the pod itself tells it (RFC 3339, UTC)."""


class _Ending(msgspec.Struct, frozen=True, gc=False):
    """How a main ended for good."""

    failed: bool
    reason: str
    message: str
    cause: str
    at: str | None


def verdict(pod: Pod, rules: PodRules) -> Verdict | None:
    """The terminal phase that the mains give this pod; None: what the API server says stays."""
    phase = None if pod.status is None else pod.status.phase
    if phase in _OPEN:
        return _by_mains(_endings(pod, rules), rules.decide)
    if phase == "Failed" and rules.authoritative:
        return _exonerated(pod, rules)
    return None


def _by_mains(endings: list[_Ending | None], decide: Decide) -> Verdict | None:
    final = [ending for ending in endings if ending is not None]
    failed = [ending for ending in final if ending.failed]
    if failed and decide is Decide.ANY:
        return _verdict("Failed", failed[0], min((ending.at for ending in failed if ending.at), default=None))
    if not final or len(final) < len(endings):
        return None
    since = max((ending.at for ending in final if ending.at), default=None)
    return _verdict("Failed", failed[0], since) if failed else _verdict("Succeeded", final[0], since)


def _exonerated(pod: Pod, rules: PodRules) -> Verdict | None:
    """Succeeded for a pod that failed only because of a sidecar, its mains being done with 0 (case 20).

    Not where the failure has a reason of its own, which is an eviction or the like (case 19).
    """
    if pod.status is None or pod.status.reason:
        return None
    found = _by_mains(_endings(pod, rules), Decide.ALL)
    if found is None or found.phase != "Succeeded":
        return None
    ends = (status.ended for status in pod.status.container_statuses or ())
    return found if any(ended is not None and ended.exit_code != 0 for ended in ends) else None


def _verdict(phase: str, ending: _Ending, since: str | None) -> Verdict:
    return Verdict(phase, ending.reason, ending.message, ending.cause, since)


def _endings(pod: Pod, rules: PodRules) -> list[_Ending | None]:
    """How each main ended, in order; None for one that is not final. Empty where nothing may be said of the pod."""
    names = mains(pod, rules)
    if not names or pod.spec is None or pod.status is None or all_may_restart(pod):
        return []
    endings: list[_Ending | None] = []
    for name in names:
        container, status = named(pod.spec.containers, name), named(pod.status.container_statuses, name)
        if container is None or status is None:
            endings.append(None)  # case 12
        else:
            endings.append(_ending(pod, container, status, rules.max_restarts))
    return endings


def _ending(pod: Pod, container: Container, status: ContainerStatus, most: int | None) -> _Ending | None:
    """How this main ended for good; None where it runs, waits, or will run again."""
    if most is not None and status.restart_count >= most and restartable(pod, container):
        return _looping(status)
    ended = status.ended
    if ended is None or ended.reason == RESTARTING_ALL or will_restart(pod, container, ended.exit_code):
        return None
    message = f'container "{status.name}" terminated: {_words(ended)}'
    return _Ending(ended.exit_code != 0, _reason(ended), message, "MainContainerTerminated", ended.finished_at)


def _looping(status: ContainerStatus) -> _Ending:
    """A crash loop that the operator counts as failed, whatever the container does just now (case 9)."""
    last = status.ended or status.ended_before
    message = f'container "{status.name}" restarted {status.restart_count} times'
    if last is None:
        return _Ending(True, "Error", message, "MainContainerRestarts", None)
    reason = _reason(last) if last.exit_code != 0 else "Error"
    return _Ending(True, reason, f"{message}, last {_words(last)}", "MainContainerRestarts", last.finished_at)


def _reason(ended: Terminated) -> str:
    return ended.reason or ("Error" if ended.exit_code != 0 else "Completed")


def _words(ended: Terminated) -> str:
    return f"{_reason(ended)} (exit code {ended.exit_code})"
