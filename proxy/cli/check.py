"""``headgate check FILE…``: says whether policies can be used, or everything that is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from proxy.cli.policy_files import read_policy
from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import PolicyErrors, load_policy
from proxy.policy.policyset import PolicySet


def run(paths: Sequence[str], environment: Mapping[str, str], out: TextIO | None = None) -> int:
    """Check each FILE, DIR or NAME as a policy of its own. 0 where all are good, else 2.

    Prints a line for each good one and every mistake of the others, to standard output unless told otherwise.
    """
    out = sys.stdout if out is None else out
    bad = 0
    for path in paths:
        try:
            policy = load_policy(read_policy(path), environment, OPERATIONS)
        except PolicyErrors as errors:
            bad += 1
            out.write(f"{errors}\n")
        else:
            out.write(f"{path}: OK  {summary(policy)}\n")
    if not paths:
        out.write("nothing to check: name a policy file, a folder or a shipped policy\n")
    return 2 if bad or not paths else 0


def summary(policy: PolicySet) -> str:
    """What a policy holds, in one line, with the start of its digest."""
    counts = (
        (len(policy.upstreams), "upstream"),
        (len(policy.limits), "limit"),
        (len(policy.routes), "route"),
        (len(policy.sinks), "sink"),
    )
    parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts]
    return f"{', '.join(parts)}, digest {policy.digest[:12]}"
