"""Accept: what is not JSON is taken out, the rest keeps its bytes, and it is known what the server will answer with."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.accept import AS_THEY_ARE, Asked, asked, only_json

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
META: Final = "g=meta.k8s.io;v=v1"
TABLE: Final = f"application/json;as=Table;{META.replace('g=meta.k8s.io;v=v1', 'v=v1;g=meta.k8s.io')}"
KUBECTL_GET: Final = f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

CLIENTS: Final = {
    "kubectl get": (KUBECTL_GET, KUBECTL_GET),
    "kubectl get -o json": ("application/json", "application/json"),
    "kubectl logs": ("application/json, */*", "application/json, */*"),
    "kubectl describe": (f"{PROTOBUF},application/json", "application/json"),
    "client-node": ("application/json, */*;q=0.8", "application/json, */*;q=0.8"),
    "kr8s": ("*/*", "*/*"),
    "a ContentType and nothing else": (f"{PROTOBUF}, */*", "*/*"),
    "metadata client": (
        f"{PROTOBUF};as=PartialObjectMetadataList;{META},application/json;as=PartialObjectMetadataList;{META},application/json",
        f"application/json;as=PartialObjectMetadataList;{META},application/json",
    ),
    "dynamic client with CBOR": ("application/json;q=0.9,application/cbor;q=1", "application/json;q=0.9"),
    "a watch in CBOR": ("application/cbor-seq,application/cbor,application/json", "application/json"),
    "yaml by hand": ("application/yaml", "application/json"),
    "protobuf only": (PROTOBUF, "application/json"),
    "protobuf only, as metadata": (
        f"{PROTOBUF};q=0.9;as=PartialObjectMetadata;{META}",
        f"application/json;as=PartialObjectMetadata;{META}",
    ),
    "protobuf or what no server has": (f"text/html,{PROTOBUF}", "text/html,application/json"),
    "protobuf of a watch": (f"{PROTOBUF};stream=watch, application/json", "application/json"),
    "spaces": (f" {PROTOBUF} ; q=1 , application/json ; q=0.5", "application/json ; q=0.5"),
    "what no server has": ("text/html", "text/html"),
    "another spelling, which is another type": ("Application/Yaml", "Application/Yaml"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_only_json_is_asked_for(client: str) -> None:
    sent, forwarded = CLIENTS[client]
    assert only_json(sent.encode()) == forwarded.encode()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_json_already_stays_the_same_object(client: str) -> None:
    forwarded = CLIENTS[client][1].encode()
    assert only_json(forwarded) is forwarded


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, AS_THEY_ARE),
        ("", AS_THEY_ARE),
        ("application/json", AS_THEY_ARE),
        ("*/*", AS_THEY_ARE),
        ("*", AS_THEY_ARE),
        (KUBECTL_GET, Asked("table", "v1")),
        (f"application/json,{TABLE}", AS_THEY_ARE),
        (f"application/json;q=0.1,{TABLE};q=0.5", Asked("table", "v1")),
        (f"{TABLE};q=0.1,application/json;q=0.5", AS_THEY_ARE),
        (f"*/*;q=1,{TABLE};q=1", Asked("table", "v1")),
        (f"application/*,{TABLE}", Asked("table", "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Asked("table", "v1beta1")),
        ("application/json; as=Table; v=v1; g=meta.k8s.io", Asked("table", "v1")),
        ("*/*;as=Table;v=v1;g=meta.k8s.io", Asked("table", "v1")),
        ("application/json;as=Table;v=v1", AS_THEY_ARE),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", AS_THEY_ARE),
        ("application/json;as=Shoe;v=v1;g=meta.k8s.io", AS_THEY_ARE),
        ("application/json;stream=flood;as=Table;v=v1;g=meta.k8s.io", AS_THEY_ARE),
        ("application/json;stream=watch;as=Table;v=v1;g=meta.k8s.io", Asked("table", "v1")),
        (f"application/json;as=PartialObjectMetadata;{META}", Asked("metadata", "v1")),
        (f"application/json;as=PartialObjectMetadataList;{META},application/json", Asked("metadata", "v1")),
        (f"application/json;q=zz,{TABLE};q=0.1", Asked("table", "v1")),
        ("text/html", AS_THEY_ARE),
    ],
)
def test_what_the_server_will_answer_with(accept: str | None, form: Asked) -> None:
    assert asked(None if accept is None else accept.encode()) == form


PIECES: Final = st.lists(
    st.sampled_from([*"/;,=*q ", "application", "json", "yaml", "cbor", PROTOBUF, "as=Table", META, "q=0.5", "é", "\0"])
)


@given(PIECES.map(lambda parts: "".join(parts).encode()))
def test_any_value_is_read_and_twice_is_once(accept: bytes) -> None:
    once = only_json(accept)
    assert only_json(once) == once
    asked(once)
