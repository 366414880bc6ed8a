"""Writes the policy reference to standard output: ``python -m proxy.cli.policy_reference > docs/policy.md``."""

from __future__ import annotations

import sys

from proxy.policy.reference import render

if __name__ == "__main__":
    sys.stdout.write(render())
