"""``Server-Timing``: how long a request was queued, and how long its upstream took (design.md §2.4). Pure."""

from __future__ import annotations

from proxy.ports import RequestRecord


def server_timing(record: RequestRecord) -> bytes:
    """The whole header line; milliseconds."""
    return b"Server-Timing: queue;dur=%.1f, upstream;dur=%.1f\r\n" % (
        record.waited * 1000,
        record.upstream_seconds * 1000,
    )
