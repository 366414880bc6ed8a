"""What a caller read here never gets stored in an annotation either: ``kubectl apply`` keeps a whole file in one.

``kubectl get pod -o json >f`` and ``kubectl apply -f f`` send the pod as it was read, status and all, as the text of
``kubectl.kubernetes.io/last-applied-configuration``. The API server discards the status beside it, not this one. No
status in there is anybody's to apply, but the text is the caller's: it gets back what was there before.
"""

from __future__ import annotations

from typing import Final

import msgspec

from proxy.dialects.kubernetes.brief import fields_of
from proxy.dialects.kubernetes.mark import IN_BYTES
from proxy.dialects.kubernetes.writeback import restored

_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_TEXT: Final = msgspec.json.Decoder(str)
_ENCODER: Final = msgspec.json.Encoder()


def unapplied(body: bytes) -> bytes:
    """The body of a POST, PUT or PATCH of a pod as it may be stored; the same object where it has nothing of ours.

    StatusNotRestorable where the annotation has our condition with another message than ours. A body that is no JSON
    (protobuf, CBOR, YAML) is not one that kubectl sends with this annotation, and passes.
    """
    if IN_BYTES not in body:
        return body
    try:
        pod = fields_of(body)
        metadata = fields_of(pod["metadata"])
        annotations = fields_of(metadata["annotations"])
        applied = _TEXT.decode(annotations[_APPLIED]).encode()
        fields_of(applied)  # what is no object of JSON is a text like any other
    except (ValueError, KeyError, RecursionError):
        return body
    before = restored(applied, b"application/json")
    if before is applied:
        return body
    annotations[_APPLIED] = msgspec.Raw(_ENCODER.encode(before.decode()))
    metadata["annotations"] = msgspec.Raw(_ENCODER.encode(annotations))
    return _ENCODER.encode({**pod, "metadata": metadata})
