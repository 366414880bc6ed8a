"""Which containers of a pod decide: its enrolment (kubernetes.md §4.4).

The annotation ``headgate.dev/main-container`` goes before the policy's names, namespaces and labels;
``headgate.dev/phase-rewrite: "off"`` goes before everything. ``kubectl.kubernetes.io/default-container`` decides
nothing: service meshes inject it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from proxy.dialects.kubernetes.pod import Metadata, Pod, named
from proxy.domain.labels import matches
from proxy.domain.pods import PodRules

_OPT_OUT: Final = "headgate.dev/phase-rewrite"


def mains(pod: Pod, rules: PodRules) -> tuple[str, ...]:
    """The main containers in the order named; none where the pod is not enrolled.

    A pod that has a main as an init container or native sidecar is not enrolled (§4.2, case 17), nor is one whose
    annotation names what it does not have, nor a static pod's mirror (case 27).
    """
    if pod.metadata is None or pod.spec is None or _refuses(pod.metadata):
        return ()
    annotations = pod.metadata.annotations
    if annotations is not None and annotations.main_container is not None:
        asked = tuple(dict.fromkeys(name.strip() for name in annotations.main_container.split(",") if name.strip()))
        return asked if all(named(pod.spec.containers, name) for name in asked) else ()
    if not _selected(pod.metadata, rules) or any(named(pod.spec.init_containers, n) for n in rules.main_containers):
        return ()
    return tuple(name for name in rules.main_containers if named(pod.spec.containers, name))


def _refuses(metadata: Metadata) -> bool:
    annotations = metadata.annotations
    if annotations is not None and (annotations.mirror is not None or annotations.phase_rewrite == "off"):
        return True
    return metadata.labels is not None and metadata.labels.get(_OPT_OUT) == "off"


def _selected(metadata: Metadata, rules: PodRules) -> bool:
    """Whether the policy's namespaces and labels both match."""
    if rules.namespaces != ("*",) and not _pattern(rules.namespaces).fullmatch(metadata.namespace or ""):
        return False
    return not rules.labels or matches(rules.labels, metadata.labels or {})


@lru_cache(maxsize=512)
def _pattern(namespaces: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(".*".join(map(re.escape, name.split("*"))) for name in namespaces))
