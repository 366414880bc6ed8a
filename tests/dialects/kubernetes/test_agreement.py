"""GET, LIST and WATCH show one pod alike at every version, and a phase selector means the same in each of them."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.truth import told
from proxy.domain.pods import Decide, PodRules
from tests.dialects.kubernetes.asking import AS_METADATA, AS_METADATA_LIST, AS_TABLE, PODS, answered
from tests.dialects.kubernetes.cutting import pieces
from tests.support.pod_states import Json, container_status, encoded, pod, running, terminated, waiting

PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
NAMES: Final = ("a", "b", "c")
STATE: Final = st.sampled_from([running(), waiting(), terminated(0), terminated(1), terminated(137, "OOMKilled")])
RULES: Final = st.builds(
    PodRules,
    main_containers=st.sampled_from([(), ("sandbox",), ("sandbox", "agent")]),
    decide=st.sampled_from(Decide),
    max_restarts=st.none() | st.just(2),
    authoritative=st.booleans(),
)
SELECTOR: Final = st.tuples(st.sampled_from(["=", "==", "!="]), st.sampled_from(PHASES))


@st.composite
def pods(draw: st.DrawFn) -> Json:
    """A pod of one of a few names, in any state."""
    mains = draw(st.lists(st.sampled_from(["sandbox", "agent", "sidecar"]), min_size=1, unique=True))
    statuses = [container_status(name, draw(STATE), restarts=draw(st.integers(0, 3))) for name in mains]
    annotations = draw(st.sampled_from([{}, {"headgate.dev/main-container": "sandbox"}]))
    policy = draw(st.sampled_from(["Always", "Never", "OnFailure", None]))
    shown = pod(*statuses, phase=draw(st.sampled_from(PHASES)), restart_policy=policy, annotations=annotations)
    shown["metadata"]["name"] = draw(st.sampled_from(NAMES))
    return shown


def bare(shown: Json) -> Json:
    """As an item of a list: it does not say what it is."""
    return {name: value for name, value in shown.items() if name not in ("kind", "apiVersion")}


def pod_list(shown: list[Json]) -> bytes:
    return encoded({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [bare(one) for one in shown]})


def as_events(received: bytes) -> list[Json]:
    """Every event, one to a line."""
    return [json.loads(line) for line in received.splitlines()]


@given(pods(), RULES, st.integers(0, 5000))
def test_one_pod_looks_the_same_wherever_it_is_read(shown: Json, rules: PodRules, place: int) -> None:
    expected = told(shown, rules) or shown
    one = json.loads(answered("GET", f"{PODS}/{shown['metadata']['name']}", [encoded(shown)], rules=rules))
    listed = json.loads(answered("GET", PODS, pieces(pod_list([shown, shown]), [place]), rules=rules))
    sent = encoded({"type": "MODIFIED", "object": shown})
    (event,) = as_events(answered("GET", f"{PODS}?watch=1", pieces(sent, [place]), rules=rules))
    assert one == event["object"] == expected
    assert listed["items"] == [bare(expected)] * 2


class World:
    """What the API server knows: the pods now, and how they came to be so."""

    def __init__(self) -> None:
        self.pods: dict[str, Json] = {}
        self.version = 0

    def do(self, shown: Json, *, gone: bool) -> Json | None:
        """The event of this change; None where there is none."""
        name = shown["metadata"]["name"]
        if gone and name not in self.pods:
            return None
        self.version += 1
        shown = {**shown, "metadata": {**shown["metadata"], "resourceVersion": str(self.version)}}
        kind = "DELETED" if gone else "MODIFIED" if name in self.pods else "ADDED"
        if gone:
            del self.pods[name]
        else:
            self.pods[name] = shown
        return {"type": kind, "object": shown}


class Informer:
    """What a client makes of events: the pods that it believes to be there."""

    def __init__(self, shown: list[Json]) -> None:
        self.pods = {one["metadata"]["name"]: one for one in shown}

    def hear(self, event: Json) -> None:
        """As client-go: an unknown pod that is modified is added, one that is deleted is ignored."""
        shown = event["object"]
        if event["type"] == "DELETED":
            self.pods.pop(shown["metadata"]["name"], None)
        else:
            self.pods[shown["metadata"]["name"]] = shown


def chosen(shown: list[Json], rules: PodRules, selector: tuple[str, str]) -> list[Json]:
    """The oracle: every pod as it is told, and of those the ones in the phase."""
    sign, phase = selector
    all_told = [told(one, rules) or one for one in shown]
    return [one for one in all_told if (one["status"]["phase"] == phase) is (sign != "!=")]


def named(shown: list[Json]) -> dict[str, Json]:
    return {one["metadata"]["name"]: one for one in shown}


LIFE: Final = st.lists(st.tuples(pods(), st.booleans()), max_size=10)


@given(LIFE, LIFE, RULES, SELECTOR, st.sampled_from(["list", "initial", "watchlist"]), st.data())
def test_an_informer_knows_at_every_point_what_a_list_says(
    before: list[tuple[Json, bool]],
    after: list[tuple[Json, bool]],
    rules: PodRules,
    selector: tuple[str, str],
    start: str,
    data: st.DataObject,
) -> None:
    world = World()
    for shown, gone in before:
        world.do(shown, gone=gone)
    query = f"fieldSelector=status.phase{selector[0]}{selector[1]}"
    first = list(world.pods.values())
    listed = json.loads(answered("GET", f"{PODS}?{query}", [pod_list(first)], rules=rules))["items"]
    assert listed == [bare(one) for one in chosen(first, rules, selector)]

    events = [] if start == "list" else [{"type": "ADDED", "object": one} for one in first]
    version = {"list": f"&resourceVersion={world.version + 7}", "initial": "", "watchlist": "&sendInitialEvents=true"}
    states = [first]
    for shown, gone in after:
        event = world.do(shown, gone=gone)
        if event is not None:
            events.append(event)
            states.append(list(world.pods.values()))

    informer = Informer([{"kind": "Pod", "apiVersion": "v1", **one} for one in listed] if start == "list" else [])
    for number in range(len(events) + 1):
        sent = b"".join(map(encoded, events[:number]))
        places = data.draw(st.lists(st.integers(0, len(sent)), max_size=3)) if number == len(events) else []
        heard = as_events(answered("GET", f"{PODS}?watch=1&{query}{version[start]}", pieces(sent, places), rules=rules))
        follower = Informer(list(informer.pods.values()))
        for event in heard:
            follower.hear(event)
        settled = number - (0 if start == "list" else len(first))
        if settled >= 0:
            assert follower.pods == named(chosen(states[settled], rules, selector))


@given(st.lists(pods(), max_size=4), RULES, SELECTOR, st.sampled_from(["Metadata", "Object", "None"]))
def test_every_form_of_a_list_and_of_a_watch_chooses_the_same(
    shown: list[Json], rules: PodRules, selector: tuple[str, str], include: str
) -> None:
    query = f"fieldSelector=status.phase{selector[0]}{selector[1]}"
    expected = [one["metadata"] for one in chosen(shown, rules, selector)]
    metadata = json.loads(
        answered("GET", f"{PODS}?{query}", [pod_list(shown)], f"Accept: {AS_METADATA_LIST}", rules=rules)
    )
    assert [item["metadata"] for item in metadata["items"]] == expected

    rows = [{"cells": [number], "object": one} for number, one in enumerate(shown)]
    target, accept = f"{PODS}?{query}&includeObject={include}", f"Accept: {AS_TABLE}"
    table = json.loads(answered("GET", target, [encoded({"kind": "Table", "rows": rows})], accept, rules=rules))
    assert [shown[row["cells"][0]]["metadata"] for row in table["rows"]] == expected
    for row in table["rows"]:
        assert row["object"] == included(shown[row["cells"][0]], include)

    watch = f"{PODS}?watch=1&{query}"
    distinct = [{**one, "metadata": {**one["metadata"], "name": str(n)}} for n, one in enumerate(shown)]
    expected = [one["metadata"] for one in chosen(distinct, rules, selector)]
    sent = b"".join(encoded({"type": "ADDED", "object": one}) for one in distinct)
    bare_events = as_events(answered("GET", watch, [sent], f"Accept: {AS_METADATA}", rules=rules))
    assert [event["object"]["metadata"] for event in bare_events] == expected
    tables: list[Any] = [{"rows": [{"cells": [], "object": one}]} for one in distinct]
    sent = b"".join(encoded({"type": "ADDED", "object": one}) for one in tables)
    table_events = as_events(answered("GET", watch, [sent], accept, rules=rules))
    assert [event["object"]["rows"][0]["object"]["metadata"] for event in table_events] == expected


def included(shown: Json, include: str) -> Json | None:
    """The object of a row, as the API server includes it."""
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": shown["metadata"]}
    return {"Metadata": partial, "Object": shown, "None": None}[include]
