"""What holds for every pod and every life of one: total, pure, idempotent, monotonic, reversible, the kubelet's own."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, Final

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from proxy.dialects.kubernetes.mark import CONDITION
from proxy.dialects.kubernetes.truth import Teller, told
from proxy.dialects.kubernetes.writeback import restored
from proxy.domain.errors import StatusNotRestorable
from proxy.domain.pods import Decide, PodRules
from tests.support.kubelet import TERMINAL, Deed, Event, Kubelet, Plan, get_phase
from tests.support.pod_states import Json, container_status, encoded, incident_pod, pod, terminated
from tests.support.witnesses import Remembering

UNTIMED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIVES: Final = settings(UNTIMED, max_examples=120)
ALL: Final = PodRules(main_containers=("sandbox", "agent"))
RULES: Final = st.builds(
    PodRules,
    main_containers=st.just(("sandbox", "agent")),
    decide=st.sampled_from(Decide),
    max_restarts=st.none() | st.integers(1, 3),
    authoritative=st.booleans(),
)

WORDS: Final = (
    "metadata", "spec", "status", "phase", "reason", "message", "conditions", "type", "Ready", "False", "name",
    "sandbox", "containers", "containerStatuses", "state", "lastState", "terminated", "exitCode", "restartPolicy",
    "Never", "Failed", "Running", "kind", "Pod", "annotations", "labels", CONDITION,
)  # fmt: skip
TEXT: Final = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS: Final = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(2**70)
LEAVES: Final = st.none() | st.booleans() | NUMBERS | TEXT
ANYTHING: Final = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is a value."""
    found = [path] if path else []
    if isinstance(document, dict):
        found += [place for key in document for place in places(document[key], (*path, key))]
    if isinstance(document, list):
        found += [place for number, one in enumerate(document) for place in places(one, (*path, number))]
    return found


SHOWN: Final = (
    incident_pod(),
    incident_pod(status={"reason": "NodeLost"}),
    pod(container_status("sandbox", terminated(0)), container_status("agent", terminated(2, "<&>")), phase="Pending"),
    pod(container_status("sandbox", terminated(0)), container_status("sidecar", terminated(1)), phase="Failed"),
)


@st.composite
def spoilt_pods(draw: st.DrawFn) -> Json:
    """A pod that needs a change, some of whose values may be anything."""
    document = copy.deepcopy(draw(st.sampled_from(SHOWN)))
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from(places(document)))
        parent = document
        for key in way:
            parent = parent[key]
        parent[last] = draw(ANYTHING)
    return document


@st.composite
def fuller_pods(draw: st.DrawFn) -> Json:
    """A pod that needs a change, with fields that nobody knows."""
    document = copy.deepcopy(draw(st.sampled_from(SHOWN)))
    for _ in range(draw(st.integers(1, 4))):
        parent: Any = document
        for key in draw(st.just(()) | st.sampled_from(places(document))):
            parent = parent[key]
        if isinstance(parent, dict):
            parent["x-" + draw(TEXT)] = draw(ANYTHING)
    return document


def tell(raw: bytes, rules: PodRules) -> tuple[bytes, Remembering]:
    witness = Remembering(expecting=True)
    return Teller(rules, witness).tell(raw), witness


@UNTIMED
@given(ANYTHING | spoilt_pods(), RULES)
def test_total_and_pure_over_any_json(document: Any, rules: PodRules) -> None:
    before = copy.deepcopy(document)
    once = told(document, rules)
    assert document == before
    assert told(document, rules) == once
    raw = encoded(document)
    changed, witness = tell(raw, rules)
    if once is None:
        assert changed is raw
    else:
        assert json.loads(changed) == once
    assert witness.changed == (once is not None)


@UNTIMED
@given(st.binary(max_size=60), RULES)
def test_total_over_any_bytes(data: bytes, rules: PodRules) -> None:
    raw = encoded(incident_pod())
    for sent in (data, data + b'"terminated"', raw[: len(data) * 20] + data, raw.replace(b"OOMKilled", data)):
        changed, witness = tell(sent, rules)
        assert witness.changed == (changed is not sent)


@UNTIMED
@given(st.integers(0, len(encoded(incident_pod()))))
def test_a_pod_cut_anywhere_passes(length: int) -> None:
    raw = encoded(incident_pod())[:length]
    changed, _ = tell(raw, ALL)
    assert (changed is raw) == (length < len(encoded(incident_pod())) - 1)


@UNTIMED
@given(spoilt_pods(), RULES)
def test_idempotent(document: Json, rules: PodRules) -> None:
    once = told(document, rules)
    assert once is None or told(once, rules) is None


@UNTIMED
@given(fuller_pods(), RULES)
def test_only_the_status_changes_and_unknown_fields_survive(document: Json, rules: PodRules) -> None:
    once = told(document, rules)
    assume(once is not None and document["status"]["conditions"])
    assert once is not None
    assert json.loads(tell(encoded(document), rules)[0]) == once
    assert {**once, "status": 0} == {**document, "status": 0}
    was, now = document["status"], once["status"]
    changed = {"phase", "reason", "message", "conditions"}
    assert {key: now[key] for key in now if key not in changed} == {key: was[key] for key in was if key not in changed}
    others = [one for one in now["conditions"] if one["type"] != CONDITION]
    for before, after in zip(was["conditions"], others, strict=True):
        assert {**after, "reason": 0, "message": 0} == {**before, "reason": 0, "message": 0}


@UNTIMED
@given(fuller_pods(), RULES)
def test_what_was_told_is_restored(document: Json, rules: PodRules) -> None:
    once = told(document, rules)
    assume(once is not None)
    assert json.loads(restored(encoded(once), b"application/json")) == document


@UNTIMED
@given(ANYTHING | spoilt_pods(), st.sampled_from(["json", "merge-patch+json", "json-patch+json", "apply-patch+yaml"]))
def test_restoring_is_total(document: Any, kind: str) -> None:
    raw = encoded(document)
    try:
        body = restored(raw, f"application/{kind}".encode())
    except StatusNotRestorable:
        return
    assert body is raw or not any(
        isinstance(one, dict) and one.get("type") == CONDITION
        for one in json.loads(body)["status"].get("conditions") or ()
    )


def own_rule(action: str, *codes: int) -> Json:
    """What a container's spec says about these exit codes."""
    rule = {"action": action, "exitCodes": {"operator": "In", "values": list(codes)}}
    return {"restartPolicy": "Never", "restartPolicyRules": [rule]}


OWN_RULE: Final = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["Restart", "Restart", "RestartAllContainers"]),
        "exitCodes": st.fixed_dictionaries(
            {"operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(st.sampled_from([0, 1, 42]), max_size=2)}
        ),
    }
)
OWN: Final[st.SearchStrategy[Json]] = st.just({}) | st.fixed_dictionaries(
    {
        "restartPolicy": st.sampled_from(["Never", "OnFailure", "Always"]),
        "restartPolicyRules": st.lists(OWN_RULE, max_size=2),
    }
)
NATIVE: Final = st.just({"restartPolicy": "Always"})
PLANS: Final = st.builds(
    Plan,
    restart_policy=st.sampled_from(["Never", "Never", "OnFailure", "Always"]),
    containers=st.fixed_dictionaries({"sandbox": OWN, "sidecar": OWN}, optional={"agent": OWN}),
    natives=st.just({}) | st.fixed_dictionaries({"proxy": NATIVE}),
    started=st.booleans(),
)
PLAIN: Final = st.builds(
    Plan,
    restart_policy=st.sampled_from(["Never", "OnFailure"]),
    containers=st.sampled_from([{"sandbox": {}, "agent": {}, "sidecar": {}}, {"sandbox": {}, "sidecar": {}}]),
    started=st.just(True),
)
RESTARTING_ALL: Final = st.builds(
    Plan,
    restart_policy=st.just("Never"),
    containers=st.just({"sandbox": {}, "sidecar": own_rule("RestartAllContainers", 42)}),
    started=st.just(True),
)
OFTEN: Final[tuple[Deed, ...]] = ("go on", "go on", "go on", "back off", "restart all")
SELDOM: Final[tuple[Deed, ...]] = ("delete", "lose node", "find node", "evict")
EVENTS: Final = st.lists(
    st.tuples(st.sampled_from(OFTEN * 4 + SELDOM), st.integers(0, 3), st.sampled_from([1, 0, 42])),
    min_size=6,
    max_size=20,
)
LIFE: Final = st.one_of(PLANS, PLAIN, RESTARTING_ALL), EVENTS


def says(shown: Json, rules: PodRules) -> str:
    """The phase a reader sees."""
    changed = told(shown, rules)
    phase: str = (shown if changed is None else changed)["status"]["phase"]
    return phase


@LIVES
@given(*LIFE, RULES)
def test_what_was_once_over_stays_so(plan: Plan, events: list[Event], rules: PodRules) -> None:
    """With the same phase, until the API server itself says a terminal one."""
    first = None
    for shown in Kubelet(plan).live(events):
        said = says(shown, rules)
        if first is not None:
            assert said in TERMINAL
            if shown["status"]["phase"] not in TERMINAL:
                assert said == first
        if said in TERMINAL and first is None:
            first = said


@LIVES
@given(*LIFE)
def test_what_was_once_failed_is_failed_for_ever(plan: Plan, events: list[Event]) -> None:
    said = [says(shown, ALL) for shown in Kubelet(plan).live(events)]
    if "Failed" in said:
        assert set(said[said.index("Failed") :]) == {"Failed"}


@LIVES
@given(*LIFE)
def test_authoritative_keeps_its_word_to_the_end(plan: Plan, events: list[Event]) -> None:
    """But where the API server's last word has a reason of its own: an eviction, a lost node."""
    rules = replace(ALL, authoritative=True)
    first = None
    for shown in Kubelet(plan).live(events):
        if "reason" in shown["status"]:
            return
        said = says(shown, rules)
        assert first is None or said == first
        if said in TERMINAL:
            first = said


@LIVES
@given(*LIFE)
def test_it_is_what_the_kubelet_would_say_without_the_sidecars(plan: Plan, events: list[Event]) -> None:
    assume("RestartAllContainers" not in str(plan))
    for shown in Kubelet(plan).live(events):
        if shown["status"]["phase"] in TERMINAL:
            assert told(shown, ALL) is None
            continue
        phase = get_phase(without_sidecars(shown))
        assert says(shown, ALL) == (phase if phase in TERMINAL else shown["status"]["phase"])


def without_sidecars(shown: Json) -> Json:
    """The pod as if it had only its mains."""
    alone = copy.deepcopy(shown)
    alone["spec"]["initContainers"] = []
    for part, key in (("spec", "containers"), ("status", "containerStatuses")):
        alone[part][key] = [one for one in alone[part][key] if one["name"] in ALL.main_containers]
    return alone


@LIVES
@given(*LIFE, RULES)
def test_every_state_of_a_life_is_told_and_restored(plan: Plan, events: list[Event], rules: PodRules) -> None:
    for shown in Kubelet(plan).live(events):
        raw = encoded(shown)
        changed, witness = tell(raw, rules)
        assert len(witness.seen) == 1
        assert json.loads(restored(changed, b"application/json")) == shown
