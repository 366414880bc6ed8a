"""Servers to try Headgate against: a rate-limited E2B, a Temper with liveness timers, a Kubernetes API
server.

They imitate the far side of the proxy closely enough to show every fault it exists for, and import nothing of
the proxy itself. ``headgate demo`` uses them, the tests use them, and each can be a process of its own:

    python -m proxy.fakes e2b --port 0 --create-seconds 2 --max-creating 4
"""

from proxy.fakes.clock import Clock, ManualClock, RealClock
from proxy.fakes.e2b import FakeE2B
from proxy.fakes.e2b_config import E2BConfig, Throttle
from proxy.fakes.e2b_faults import Fault
from proxy.fakes.e2b_limits import Rate
from proxy.fakes.kubernetes import FakeKubernetes
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import TemperConfig

__all__ = [
    "Clock",
    "E2BConfig",
    "FakeE2B",
    "FakeKubernetes",
    "FakeTemper",
    "Fault",
    "KubernetesConfig",
    "ManualClock",
    "Rate",
    "RealClock",
    "TemperConfig",
    "Throttle",
]
