"""``python -m tests.cluster`` (``make cluster``): a cluster for people, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Final

from tests.cluster.images import ORDERS
from tests.cluster.pods import OOM, incident
from tests.cluster.processes import Died
from tests.cluster.programs import Level, NoCluster, find
from tests.cluster.running import Cluster, running

ENDS: Final = (signal.SIGINT, signal.SIGTERM)
INTRODUCTION: Final = """\
Kubernetes at {server}, {what}, up in {seconds:.1f} s. Ctrl-C ends it and leaves nothing.

  export KUBECONFIG={kubeconfig}
  export PATH={programs}:$PATH
  kubectl get pods -A

The incident: a pod whose `sandbox` dies for want of memory while its `sidecar` lives on, and the phase says Running.

  kubectl create -f {incident}
  kubectl exec incident -c sandbox -- sh -c 'echo "{oom}" >{orders}'
  kubectl get pod incident -o jsonpath='{{.status.phase}} {{.status.containerStatuses[*].state}}'

Logs of its processes: {folder}/*.log
"""


def introduce(cluster: Cluster, seconds: float) -> None:
    """Say what there is and what to try first."""
    file = cluster.folder / "incident.json"
    file.write_text(json.dumps(incident("incident")))
    whole = cluster.level is Level.NODE
    text = INTRODUCTION.format(
        server=cluster.server,
        what="with a node that runs pods" if whole else "an API server only",
        seconds=seconds,
        kubeconfig=cluster.kubeconfig,
        programs=cluster.kubectl.program.parent,
        incident=file,
        oom=OOM.replace("$", "\\$"),
        orders=ORDERS,
        folder=cluster.folder,
    )
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> int:
    """0 when it was told to end, 1 when the cluster ended by itself or there is none."""
    try:
        programs = find(build=True)
        began = time.monotonic()
        with running(programs) as cluster:
            introduce(cluster, time.monotonic() - began)
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
            while signal.sigtimedwait(ENDS, 1.0) is None:
                cluster.check()
    except (NoCluster, Died) as why:
        sys.stderr.write(f"{why}\n")
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
