"""Metrics and the access log together, as the journey, the couriers and the dialects see them."""

from __future__ import annotations

import logging
from typing import Final

from proxy.dialects.translation import PassedAsItWas, PodSeen
from proxy.domain.ids import SinkName
from proxy.observe.access_log import AccessLog
from proxy.observe.metrics import Metrics
from proxy.ports import BeatResult, RequestRecord

_log: Final = logging.getLogger(__name__)


class ProcessObserver:
    """Implements :class:`~proxy.ports.Observer`. ``access_log`` None writes no lines."""

    def __init__(self, metrics: Metrics, access_log: AccessLog | None) -> None:
        self._metrics = metrics
        self._access_log = access_log

    def finished(self, record: RequestRecord) -> None:
        """Count the request and write its line. What goes wrong here must not harm the request."""
        try:
            self._metrics.finished(record)
            if self._access_log is not None:
                self._access_log.finished(record)
        except Exception:  # noqa: BLE001 - whatever it is: the request has been served
            _log.exception("a finished request could not be recorded")

    def retried(self, upstream: str, route: str) -> None:
        """Count one more try."""
        self._metrics.retried(upstream, route)

    def beat(self, sink: SinkName, result: BeatResult) -> None:
        """Count a progress beat."""
        self._metrics.beat(sink, result)

    def bad_head(self) -> None:
        """Count a message that was none."""
        self._metrics.bad_head()


class PodCounter:
    """A :class:`~proxy.dialects.translation.Witness` that counts what becomes of pods, and waits for none."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @property
    def expecting(self) -> bool:
        """Nobody is."""
        return False

    def saw(self, pod: PodSeen) -> None:
        """Nobody asked."""

    def rewritten(self) -> None:
        """Count one pod whose reply told the truth instead of the phase."""
        self._metrics.pod_rewritten()

    def passed(self, why: PassedAsItWas) -> None:
        """Count a reply, or an item of one, that kept its bytes though it may have needed a change."""
        self._metrics.pod_passed(why)
