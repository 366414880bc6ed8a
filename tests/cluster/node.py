"""A node: containerd and kubelet, with everything of theirs in the cluster's folder and under a cgroup of its own.

What the settings are for stands in machines.md §3. All that outlives the cluster on the machine is
``net.ipv4.ip_forward``, which the CNI plugin sets so that pods reach each other.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import yaml

from tests.cluster import images
from tests.cluster.api import Api, Refused
from tests.cluster.control import NODE_NAME
from tests.cluster.places import Place
from tests.cluster.processes import Died, Processes
from tests.cluster.programs import Programs
from tests.cluster.remains import CGROUPS, cgroup_of, hierarchies

KUBELET, HEALTH, STREAMS = range(3, 6)
"""Which of the place's ports is whose."""
NOT_READY: Final = "node.kubernetes.io/not-ready"

CONTAINERD: Final = """
version = 2
root = "%(folder)s/containerd"
state = "%(folder)s/run"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "%(socket)s"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%(pause)s"
  stream_server_address = "127.0.0.1"
  stream_server_port = "%(streams)d"
  disable_apparmor = true
  # Making a process less likely to be killed needs CAP_SYS_RESOURCE, without which runc dies.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%(plugins)s"
    conf_dir = "%(folder)s/cni"
"""


def socket(place: Place) -> Path:
    """Where containerd listens."""
    return place.folder / "containerd.sock"


def start_runtime(place: Place, processes: Processes) -> None:
    """Start containerd and give it the images. ``Died`` where it does not come up."""
    (place.folder / "containerd.toml").write_text(_containerd(place))
    (place.folder / "cni").mkdir()
    (place.folder / "cni" / "10-headgate.conflist").write_text(json.dumps(_network(place)))
    processes.start("containerd", ["containerd", "--config", place.folder / "containerd.toml"])
    processes.until(lambda: _ctr(place, "version"), "containerd")
    load(place, images.standard(place.folder / "images.tar"))


def start_kubelet(programs: Programs, place: Place, processes: Processes, kubeconfig: Path) -> None:
    """Start kubelet. Returns at once: the node is there when :func:`is_ready` says so."""
    _make_cgroups(place)
    (place.folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(place)))
    processes.start("kubelet", _kubelet_command(programs, place, kubeconfig))


def load(place: Place, archive: Path) -> None:
    """Put the images of a docker archive on the node; pods name them with ``imagePullPolicy: Never``."""
    if not _ctr(place, "images", "import", "--snapshotter", "native", str(archive)):
        raise Died(f"the images of {archive} cannot be loaded")


def is_ready(api: Api) -> bool:
    """Whether pods can be bound to the node. Its first taint is taken off in the same go."""
    with suppress(Refused):
        node = api.get(f"/api/v1/nodes/{NODE_NAME}")
        conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", [])}
        if conditions.get("Ready") != "True":
            return False
        # The controller manager would do it too, after its next look at the node.
        taints = [taint for taint in node["spec"].get("taints", []) if taint["key"] != NOT_READY]
        api.patch(f"/api/v1/nodes/{NODE_NAME}", {"spec": {"taints": taints}})
        return True
    return False


def _ctr(place: Place, *words: str) -> bool:
    command = ["ctr", "--address", str(socket(place)), "--namespace", "k8s.io", *words]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _containerd(place: Place) -> str:
    plugins = next(folder for folder in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(f"{folder}/ptp"))
    values = {"folder": place.folder, "socket": socket(place), "pause": images.PAUSE, "plugins": plugins}
    return CONTAINERD % {**values, "streams": place.port(STREAMS)}


def _network(place: Place) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(place.folder / "addresses"),
    }
    return {
        "cniVersion": "0.4.0",
        "name": f"headgate-{place.number}",
        "plugins": [{"type": "ptp", "ipam": addresses}],
    }


def _make_cgroups(place: Place) -> None:
    name = cgroup_of(place.folder)
    for root in hierarchies():
        if root == CGROUPS:  # v2, where a controller is handed down by name
            for controller in (root / "cgroup.controllers").read_text().split():
                with suppress(OSError):
                    (root / "cgroup.subtree_control").write_text(f"+{controller}")
        with suppress(OSError):  # a hierarchy that cannot be written is one that kubelet does not ask for
            (root / name).mkdir()


def _kubelet(place: Place) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": place.port(KUBELET),
        "healthzPort": place.port(HEALTH),
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{socket(place)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_of(place.folder)}",
        "maxPods": 250,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(place.folder / "logs"),
        "volumePluginDir": str(place.folder / "plugins"),
        "resolvConf": "",
        "clusterDomain": "cluster.local",
    }


def _kubelet_command(programs: Programs, place: Place, kubeconfig: Path) -> list[str]:
    return [
        programs["kubelet"],
        f"--config={place.folder / 'kubelet.yaml'}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={place.folder / 'kubelet'}",
        f"--cert-dir={place.folder / 'kubelet-pki'}",
        f"--hostname-override={NODE_NAME}",
    ]
