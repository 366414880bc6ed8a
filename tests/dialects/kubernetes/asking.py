"""Requests about pods, and what becomes of their replies. Not a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.kubernetes.passage import KubernetesTranslator, PodPassage
from proxy.dialects.kubernetes.routes import operation_of
from proxy.dialects.translation import Witness
from proxy.domain.pods import PodRules
from tests.dialects.heads import reply, request
from tests.dialects.kubernetes.cutting import through
from tests.support.pod_states import Json, encoded
from tests.support.witnesses import Remembering

RULES: Final = PodRules(main_containers=("sandbox", "agent"))
PODS: Final = "/api/v1/namespaces/agents-1/pods"
META: Final = "g=meta.k8s.io;v=v1"
AS_TABLE: Final = f"application/json;as=Table;{META}"
AS_METADATA: Final = f"application/json;as=PartialObjectMetadata;{META},application/json"
AS_METADATA_LIST: Final = f"application/json;as=PartialObjectMetadataList;{META},application/json"


def passage(
    method: str,
    target: str,
    *lines: str,
    rules: PodRules | None = RULES,
    witness: Witness | None = None,
    mount: str = "",
) -> PodPassage | None:
    """What changes in this request."""
    path, _, query = target.partition("?")
    head = request(*lines, method=method, target=mount + target)
    operation = operation_of(method, path, query.encode())
    translator = KubernetesTranslator(rules)
    return translator.passage(operation, path, head, (mount + target).encode(), witness or Remembering())


def answered(
    method: str,
    target: str,
    body: Iterable[bytes],
    *lines: str,
    witness: Witness | None = None,
    rules: PodRules | None = RULES,
    answer: tuple[str, ...] = ("Content-Type: application/json",),
) -> bytes:
    """What the caller gets for this reply, which comes in pieces, with status 200."""
    found = passage(method, target, *lines, witness=witness, rules=rules)
    transform = None if found is None else found.reply(reply(200, *answer))
    return b"".join(body) if transform is None else through(transform, body)


def pod_list(*items: Json, **more: object) -> bytes:
    """A PodList as the API server sends it; ``more`` is in its metadata."""
    bare = [{name: item[name] for name in ("metadata", "spec", "status")} for item in items]
    metadata: Json = {"resourceVersion": "9", **more}
    return encoded({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": bare})
