"""``Idempotency-Key`` on ``POST /v2/sandboxes``, as the newest server has it behind a flag.

A key belongs to a team. The same key and request replay the recorded answer, errors included; another request
is a 409; one whose original still runs is a 409; one whose original broke off without an answer is a 422.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from proxy.fakes.e2b_faults import error
from proxy.fakes.server import Refused, Reply

KEY: Final = re.compile(r"[a-z0-9]{1,255}")  # no hyphens: an SDK's lower-case UUID is a 400


@dataclass(slots=True)
class Record:
    """One key's first request."""

    fingerprint: str
    since: float
    running: bool = True
    reply: Reply | None = None


class Idempotency:
    """Recorded answers, kept for ``seconds``. ``now`` is the fake's clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._records: dict[tuple[str, str], Record] = {}

    async def once(self, team: str, key: str, raw: bytes, work: Callable[[], Awaitable[Reply]], now: float) -> Reply:
        """Do ``work`` for the first request with this key, replay its answer for the later ones."""
        if not KEY.fullmatch(key):
            raise Refused(error(400, "Idempotency-Key must match ^[a-z0-9]+$ and be 1-255 characters long"))
        fingerprint = hashlib.sha256(raw).hexdigest()
        record = self._records.get((team, key))
        if record is not None and now - record.since < self._seconds:
            return self._replay(record, fingerprint)
        record = self._records[(team, key)] = Record(fingerprint, now)
        try:
            record.reply = await work()
        except Refused as refusal:
            record.reply = refusal.reply
        except asyncio.CancelledError:
            raise  # the outcome stays unknown
        finally:
            record.running = False
        return record.reply

    @staticmethod
    def _replay(record: Record, fingerprint: str) -> Reply:
        if record.fingerprint != fingerprint:
            raise Refused(error(409, "Idempotency key reused with another request", "idempotency_request_mismatch"))
        if record.running:
            raise Refused(error(409, "The original request is still running", "idempotency_in_progress"))
        if record.reply is None:
            raise Refused(error(422, "The outcome of the original is unknown", "idempotency_outcome_unknown"))
        return record.reply
