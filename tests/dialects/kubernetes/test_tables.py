"""Tables and bare metadata under a phase selector: chosen by whole pods, and cut down to what was asked for."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.dialects.heads import reply
from tests.dialects.kubernetes.asking import AS_METADATA, AS_METADATA_LIST, AS_TABLE, PODS, answered, passage
from tests.dialects.kubernetes.cutting import every_cut
from tests.support.pod_states import Json, container_status, encoded, incident_pod, pod, running
from tests.support.witnesses import Remembering

SELECTOR: Final = "fieldSelector=status.phase%3DFailed"
FAILED: Final = f"{PODS}?{SELECTOR}"
WATCH: Final = f"{PODS}?watch=1&{SELECTOR}"
COLUMNS: Final = [{"name": "Name", "type": "string"}, {"name": "Status", "type": "string"}]
RUNS: Final = pod(container_status("sandbox", running()))
DIED: Final = incident_pod()
ACCEPT_TABLE: Final = f"Accept: {AS_TABLE},application/json"


def row(shown: Json | None, word: str) -> Json:
    """A row as the API server makes it."""
    return {"cells": ["agent-1", word], "object": shown}


def table(*rows: Json, columns: Any = COLUMNS) -> Json:
    """A Table as the API server makes it."""
    metadata = {"resourceVersion": "9", "continue": "x", "remainingItemCount": 4}
    kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {**kind, "columnDefinitions": columns, "rows": list(rows)}


def partial(shown: Json, version: str = "v1") -> Json:
    """A pod's metadata alone."""
    kind = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    return {**kind, "metadata": shown["metadata"]}


def pod_list(*items: Json) -> Json:
    """A PodList; its items do not say what they are."""
    bare = [{name: item[name] for name in ("metadata", "spec", "status")} for item in items]
    metadata = {"resourceVersion": "9", "continue": "x", "remainingItemCount": 4}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": bare}


TABLE: Final = encoded(table(row(RUNS, "Running"), row(DIED, "OOMKilled")))


@pytest.mark.parametrize(
    ("include", "upstream", "shown"),
    [
        ("", "&includeObject=Object", partial(DIED)),
        ("&includeObject=Metadata", "&includeObject=Object", partial(DIED)),
        ("&includeObject=None", "&includeObject=Object", None),
        ("&includeObject=Object", "&includeObject=Object", DIED),
    ],
)
def test_rows_are_chosen_by_their_pods_and_cut_down(include: str, upstream: str, shown: Json | None) -> None:
    target = f"{FAILED}{include}&limit=5"
    found = passage("GET", target, ACCEPT_TABLE)
    assert found is not None and b"accept" not in found.fields
    rest = f"{PODS}?fieldSelector={upstream}&limit=5" if include else f"{PODS}?fieldSelector=&limit=5{upstream}"
    assert found.target == rest.encode()
    witness = Remembering()
    received = json.loads(answered("GET", target, [TABLE], ACCEPT_TABLE, witness=witness))
    expected = table(row(shown, "OOMKilled"))
    del expected["metadata"]["remainingItemCount"]
    assert received == expected
    assert list(received) == list(expected)
    assert witness.why == []


def test_every_cut_of_a_table_gives_the_same() -> None:
    small = {"metadata": {"name": "a"}, "status": {"phase": "Failed"}}
    sent = encoded(table(row({"metadata": {"name": "b"}}, "!"), row(small, "!"), row(small, "?")))
    whole = answered("GET", FAILED, [sent], ACCEPT_TABLE)
    assert len(json.loads(whole)["rows"]) == 2
    for cut in every_cut(sent):
        assert answered("GET", FAILED, cut, ACCEPT_TABLE) == whole


def test_a_table_of_another_version_has_metadata_of_that() -> None:
    accept = "Accept: application/json;as=Table;v=v1beta1;g=meta.k8s.io"
    received = json.loads(answered("GET", FAILED, [TABLE], accept))
    assert received["rows"][0]["object"] == partial(DIED, "v1beta1")


def test_a_table_without_a_selector_passes() -> None:
    for target in (PODS, f"{PODS}?includeObject=Object&fieldSelector=metadata.name%3Dstatus.phase"):
        found = passage("GET", target, ACCEPT_TABLE)
        assert found is not None and found.target == target.encode() and found.fields == {}
        witness = Remembering()
        assert answered("GET", target, [TABLE], ACCEPT_TABLE, witness=witness) == TABLE
        assert witness.changed == 0 and witness.why == []


def test_a_table_without_a_selector_does_not_wait() -> None:
    found = passage("GET", PODS, ACCEPT_TABLE)
    transform = None if found is None else found.reply(reply(200, "Content-Type: application/json"))
    assert transform is not None
    place = TABLE.index(b'"cells"')
    assert transform.feed(TABLE[:place]) == TABLE[:place] and transform.feed(TABLE[place:]) == TABLE[place:]


def test_what_the_api_server_refuses_to_include_goes_to_it() -> None:
    target = f"{FAILED}&includeObject=all"
    found = passage("GET", target, ACCEPT_TABLE)
    assert found is not None and found.target == target.encode()


def test_a_server_without_tables_answers_with_pods() -> None:
    received = json.loads(answered("GET", FAILED, [encoded(pod_list(RUNS, DIED))], ACCEPT_TABLE))
    assert [item["status"]["phase"] for item in received["items"]] == ["Failed"]
    assert received["kind"] == "PodList" and "remainingItemCount" not in received["metadata"]


def test_a_row_without_its_pod_passes() -> None:
    witness = Remembering()
    sent = encoded(table(row(None, "x"), {"cells": []}, row(DIED, "OOMKilled")))
    received = json.loads(answered("GET", FAILED, [sent], ACCEPT_TABLE, witness=witness))
    assert received["rows"] == [row(None, "x"), {"cells": []}, row(partial(DIED), "OOMKilled")]
    assert witness.why == ["broken", "broken"]


def event(kind: str, shown: Json) -> bytes:
    """An event as the API server sends it."""
    return encoded({"type": kind, "object": shown})


def events(received: bytes) -> list[Json]:
    """Every event, one to a line."""
    return [json.loads(line) for line in received.splitlines()]


def test_the_columns_come_with_the_first_event_that_goes_on() -> None:
    sent = b"".join(
        [
            event("ADDED", table(row(RUNS, "Running"))),
            event("ADDED", table(row(RUNS, "Running"), columns=None)),
            event("MODIFIED", table(row(DIED, "OOMKilled"), columns=None)),
            event("MODIFIED", table(row(DIED, "OOMKilled"), columns=None)),
            event("DELETED", table(row(DIED, "OOMKilled"), columns=None)),
        ]
    )
    found = passage("GET", WATCH, ACCEPT_TABLE)
    assert found is not None and found.target == f"{PODS}?watch=1&fieldSelector=&includeObject=Object".encode()
    received = events(answered("GET", WATCH, [sent], ACCEPT_TABLE))
    assert [one["type"] for one in received] == ["ADDED", "MODIFIED", "DELETED"]
    assert [one["object"]["columnDefinitions"] for one in received] == [COLUMNS, None, None]
    assert all(one["object"]["rows"] == [row(partial(DIED), "OOMKilled")] for one in received)


def test_the_columns_are_not_told_twice() -> None:
    sent = event("ADDED", table(row(DIED, "x"))) + event("MODIFIED", table(row(DIED, "x"), columns=[]))
    received = events(answered("GET", WATCH, [sent], ACCEPT_TABLE))
    assert [one["object"]["columnDefinitions"] for one in received] == [COLUMNS, []]


def test_a_bookmark_may_be_the_first_to_go_on() -> None:
    sent = event("ADDED", table(row(RUNS, "x"))) + event("BOOKMARK", table(row(RUNS, ""), columns=None))
    sent += event("BOOKMARK", table(columns=None)) + event("ERROR", {"kind": "Status"})
    first, second, error = events(answered("GET", WATCH, [sent], ACCEPT_TABLE))
    assert first["object"]["rows"] == [row(partial(RUNS), "")]
    assert first["object"]["columnDefinitions"] == COLUMNS and second["object"]["columnDefinitions"] is None
    assert error == {"type": "ERROR", "object": {"kind": "Status"}}


@pytest.mark.parametrize("shown", [table(), table(row(DIED, "a"), row(DIED, "b")), table({"cells": []}), {"rows": 7}])
def test_an_event_without_exactly_one_pod_passes(shown: Json) -> None:
    witness = Remembering()
    sent = event("ADDED", shown)
    assert answered("GET", WATCH, [sent], ACCEPT_TABLE, witness=witness) == sent
    assert witness.why == ["broken"]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_metadata_is_asked_for_as_pods_and_cut_down(version: str) -> None:
    accept = f"Accept: {AS_METADATA_LIST}".replace("v=v1", f"v={version}")
    found = passage("GET", FAILED, accept)
    assert found is not None and found.target == f"{PODS}?fieldSelector=".encode()
    assert found.fields == {b"accept": b"application/json"}
    received = json.loads(answered("GET", FAILED, [encoded(pod_list(RUNS, DIED, RUNS))], accept))
    kind = {"kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{version}"}
    metadata = {"resourceVersion": "9", "continue": "x"}
    assert received == {**kind, "metadata": metadata, "items": [partial(DIED, version)]}


def test_metadata_is_cut_down_in_a_watch() -> None:
    bookmark: Json = {"kind": "Pod", "metadata": {"resourceVersion": "9"}, "spec": {}, "status": {}}
    sent = event("ADDED", RUNS) + event("MODIFIED", DIED) + event("BOOKMARK", bookmark) + event("DELETED", RUNS)
    accept = f"Accept: {AS_METADATA}"
    found = passage("GET", WATCH, accept)
    assert found is not None and found.fields == {b"accept": b"application/json"}
    received = events(answered("GET", WATCH, [sent], accept))
    assert [one["type"] for one in received] == ["ADDED", "BOOKMARK", "DELETED"]
    assert [one["object"] for one in received] == [partial(DIED), partial(bookmark), partial(RUNS)]


def test_metadata_without_a_selector_is_asked_for_as_it_is() -> None:
    found = passage("GET", PODS, f"Accept: {AS_METADATA_LIST}")
    assert found is not None and found.fields == {}
    sent = encoded({"kind": "PartialObjectMetadataList", "metadata": {}, "items": [partial(DIED)]})
    assert answered("GET", PODS, [sent], f"Accept: {AS_METADATA_LIST}") == sent


def test_what_has_no_metadata_passes() -> None:
    witness = Remembering()
    sent = event("BOOKMARK", {"kind": "Pod"})
    assert answered("GET", WATCH, [sent], f"Accept: {AS_METADATA}", witness=witness) == sent
    assert witness.why == ["broken"]
