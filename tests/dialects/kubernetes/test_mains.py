"""Which pods are enrolled, and which of their containers decide."""

from __future__ import annotations

from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.mains import mains
from proxy.dialects.kubernetes.pod import pod_of
from proxy.domain.labels import parse_labels
from proxy.domain.pods import PodRules
from tests.support.pod_states import incident_pod

MAIN: Final = "headgate.dev/main-container"
OPT_OUT: Final = "headgate.dev/phase-rewrite"
RULES: Final = PodRules(
    main_containers=("agent", "sandbox"),
    namespaces=("agents-*", "lab"),
    labels=parse_labels("centaur.ai/managed=true,!legacy"),
)
MANAGED: Final = {"centaur.ai/managed": "true"}
NATIVE: Final = [{"name": "agent", "restartPolicy": "Always"}]
SIDECAR_TOO: Final = PodRules(main_containers=("sidecar", "sandbox"))

ENROLLED: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "namespace and labels": ({}, ("sandbox",)),
    "another listed namespace": ({"namespace": "lab"}, ("sandbox",)),
    "a namespace that begins like a listed one": ({"namespace": "lab2"}, ()),
    "a namespace that ends like a listed one": ({"namespace": "my-agents-1"}, ()),
    "another namespace": ({"namespace": "kube-system"}, ()),
    "label missing": ({"labels": {}}, ()),
    "label with another value": ({"labels": {"centaur.ai/managed": "false"}}, ()),
    "a label that must not be": ({"labels": {**MANAGED, "legacy": ""}}, ()),
    "both wrong, but annotated": ({"namespace": "x", "labels": {}, "annotations": {MAIN: "sandbox"}}, ("sandbox",)),
    "annotation goes before names": ({"annotations": {MAIN: "sidecar"}}, ("sidecar",)),
    "several, in the order annotated": ({"annotations": {MAIN: " sidecar , sandbox,"}}, ("sidecar", "sandbox")),
    "a name twice": ({"annotations": {MAIN: "sandbox,sandbox"}}, ("sandbox",)),
    "annotated with what is not there": ({"annotations": {MAIN: "sandbox,ghost"}}, ()),
    "annotated with nothing": ({"annotations": {MAIN: ""}}, ()),
    "annotated with an init container": ({"annotations": {MAIN: "setup"}, "inits": [{"name": "setup"}]}, ()),
    "annotated, another main is an init": ({"annotations": {MAIN: "sandbox"}, "inits": NATIVE}, ("sandbox",)),
    "out by annotation": ({"annotations": {OPT_OUT: "off"}}, ()),
    "out by annotation, though annotated": ({"annotations": {OPT_OUT: "off", MAIN: "sandbox"}}, ()),
    "out by label": ({"labels": {**MANAGED, OPT_OUT: "off"}}, ()),
    "not out": ({"annotations": {OPT_OUT: "on"}}, ("sandbox",)),
    "kubectl's hint alone": ({"labels": {}, "annotations": {"kubectl.kubernetes.io/default-container": "sandbox"}}, ()),
    "kubectl's hint to another": (
        {"annotations": {"kubectl.kubernetes.io/default-container": "sidecar"}},
        ("sandbox",),
    ),
    "mirror pod": ({"annotations": {"kubernetes.io/config.mirror": "x"}}, ()),
    "mirror pod, annotated": ({"annotations": {"kubernetes.io/config.mirror": "x", MAIN: "sandbox"}}, ()),
    "a main that is a native sidecar": ({"inits": NATIVE}, ()),
    "a main that is an init container": ({"inits": [{"name": "agent"}]}, ()),
    "another init container": ({"inits": [{"name": "setup"}]}, ("sandbox",)),
}


@pytest.mark.parametrize(("built", "names"), ENROLLED.values(), ids=ENROLLED)
def test_which_containers_decide(built: dict[str, Any], names: tuple[str, ...]) -> None:
    assert mains(pod_of(incident_pod(**{"labels": MANAGED, **built})), RULES) == names


def test_names_that_a_pod_has_in_the_order_of_the_policy() -> None:
    assert mains(pod_of(incident_pod()), SIDECAR_TOO) == ("sidecar", "sandbox")
    assert mains(pod_of(incident_pod()), PodRules(main_containers=("ghost",))) == ()


def test_without_names_only_the_annotation_enrols() -> None:
    assert mains(pod_of(incident_pod()), PodRules()) == ()
    assert mains(pod_of(incident_pod(annotations={MAIN: "sandbox"})), PodRules()) == ("sandbox",)


@pytest.mark.parametrize(
    ("patterns", "matching"),
    [
        (("*",), True),
        (("agents-1",), True),
        (("*-1",), True),
        (("a*1",), True),
        (("a*-*",), True),
        (("agents",), False),
        (("a.ents-1",), False),
        (("b*", "agents-?"), False),
        (("b*", "*gents*"), True),
        ((), False),
    ],
)
def test_patterns_of_namespaces(patterns: tuple[str, ...], *, matching: bool) -> None:
    rules = PodRules(main_containers=("sandbox",), namespaces=patterns)
    assert bool(mains(pod_of(incident_pod(namespace="agents-1")), rules)) is matching


def test_a_pod_without_metadata_or_spec_is_not_enrolled() -> None:
    for part in ("metadata", "spec"):
        shown = incident_pod()
        shown.pop(part)
        assert mains(pod_of(shown), PodRules(main_containers=("sandbox",))) == ()
