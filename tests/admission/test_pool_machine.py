"""The invariants of a pool after every step of every history that Hypothesis thinks of.

``HEADGATE_EXAMPLES`` says how many histories (500 on every commit, more at night).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.admission.machine import PoolMachine

EXAMPLES = int(os.environ.get("HEADGATE_EXAMPLES", "500"))

TestPool = PoolMachine.TestCase
TestPool.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    derandomize=EXAMPLES <= 500,  # every commit tries the same histories; nights try others
    database=None,
    suppress_health_check=list(HealthCheck),
)
