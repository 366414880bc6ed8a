"""A little kubelet: pods get a node, their containers start, become ready and end, on the fake's clock.

What happens by command: ``end`` and ``oom_kill`` end one container while the others live, which is the incident: the
phase stays Running (problems.md §4.3).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.kubernetes_containers import Container
from proxy.fakes.kubernetes_model import Pod, marked, stamp
from proxy.fakes.kubernetes_phase import conditions, phase, restarts
from proxy.fakes.kubernetes_store import Event, Key, Store, key_of
from proxy.fakes.kubernetes_watch import RunAside

NODE: Final = "node-1"
STOPPED: Final = 143
"""Exit code of what ends on SIGTERM."""
KILLED: Final = 137

Statuses = dict[str, dict[str, Any]]


class Kubelet:
    """The only node. Looks after every pod that the store tells it of."""

    def __init__(self, config: KubernetesConfig, clock: Clock, store: Store, run_aside: RunAside) -> None:
        self._config, self._clock, self._store, self._run_aside = config, clock, store, run_aside
        self._containers: dict[tuple[str, str], Container] = {}
        self._started = 0

    def container(self, pod: Pod, name: str) -> Container | None:
        """The container if it has been started; its ``ended`` tells whether it lives."""
        return self._containers.get((pod["metadata"]["uid"], name))

    def oom_kill(self, namespace: str, name: str, container: str) -> Pod:
        """The container takes too much memory. The pod as it is then."""
        return self.end(namespace, name, container, KILLED, "OOMKilled")

    def end(self, namespace: str, name: str, container: str, code: int = 0, reason: str = "") -> Pod:
        """The container ends by itself. The pod as it is then; ``Refused`` with 404 for none."""
        pod = self._store.get(namespace, name)
        why = reason or ("Completed" if code == 0 else "Error")
        restart = restarts(pod, container, code)
        pod = self._report(key_of(pod), pod["metadata"]["uid"], lambda all_: self._ended(all_[container], code, why))
        self._kill(pod["metadata"]["uid"], container)
        if restart:
            self._run_aside(self._restart(pod, container), f"restart {name}")
        return pod

    def noticed(self, event: Event) -> None:
        """Something was stored: perhaps there is something to do. Returns at once."""
        if event.after is None:
            assert event.before is not None  # what was removed had been there
            self._kill_all(event.before)
            return
        metadata = event.after["metadata"]
        name = "/".join(event.key)
        if event.before is None:
            self._run_aside(self._live(event.key, metadata["uid"]), f"life of {name}")
        elif "deletionTimestamp" in metadata and "deletionTimestamp" not in event.before["metadata"]:
            self._run_aside(self._stop(event.after), f"end of {name}")

    async def _live(self, key: Key, uid: str) -> None:
        """From Pending to Ready."""
        await self._clock.sleep(self._config.schedule_seconds)
        if not self._bind(key, uid):
            return
        await self._clock.sleep(self._config.start_seconds)
        if self._present(key, uid):
            self._report(key, uid, self._start_all)
            await self._clock.sleep(self._config.ready_seconds)
        if self._present(key, uid):
            self._report(key, uid, _ready)

    def _present(self, key: Key, uid: str) -> bool:
        """Whether the pod is still there and nobody has deleted it."""
        pod = self._store.find(key, uid)
        return pod is not None and "deletionTimestamp" not in pod["metadata"]

    def _bind(self, key: Key, uid: str) -> bool:
        """The pod has a node, and its containers are being created."""
        pod = self._store.find(key, uid)
        if pod is None or not self._present(key, uid):
            return False
        spec = {"nodeName": NODE} | pod["spec"]
        self._store.replace(pod | {"spec": spec, "status": pod["status"] | {"startTime": self._now()}})
        self._report(key, uid, lambda statuses: None)
        return True

    def _start_all(self, statuses: Statuses) -> None:
        for status in statuses.values():
            self._started += 1
            started = {"running": {"startedAt": self._now()}}
            status |= {"state": started, "started": True, "containerID": f"containerd://{self._started:064x}"}

    def _ended(self, status: dict[str, Any], code: int, reason: str) -> None:
        since = (status["state"].get("running") or {}).get("startedAt")
        ended = {"exitCode": code, "reason": reason, "startedAt": since, "finishedAt": self._now()}
        ended |= {"containerID": status.get("containerID", "")}
        status |= {"state": {"terminated": ended}, "ready": False, "started": False}

    async def _restart(self, pod: Pod, container: str) -> None:
        """It waits for a while and starts again."""
        key, uid = key_of(pod), pod["metadata"]["uid"]
        waits = {"reason": "CrashLoopBackOff", "message": f"back-off restarting failed container={container}"}

        def wait(all_: Statuses) -> None:
            all_[container] |= {"lastState": all_[container]["state"], "state": {"waiting": waits}}

        def again(all_: Statuses) -> None:
            self._start_all({container: all_[container]})
            all_[container] |= {"ready": True, "restartCount": all_[container]["restartCount"] + 1}

        for change, pause in ((wait, self._config.restart_seconds), (again, 0.0)):
            if self._present(key, uid):
                self._report(key, uid, change)
            await self._clock.sleep(pause)

    async def _stop(self, pod: Pod) -> None:
        """A deleted pod: its containers end within their grace, then it is gone."""
        key, uid = key_of(pod), pod["metadata"]["uid"]
        await self._clock.sleep(min(self._config.stop_seconds, pod["metadata"]["deletionGracePeriodSeconds"]))
        if self._store.find(key, uid) is None:
            return

        def stop(statuses: Statuses) -> None:
            for status in statuses.values():
                if "running" in status["state"]:
                    self._ended(status, STOPPED, "Error")

        pod = self._report(key, uid, stop)
        self._store.replace(marked(pod, 0, self._clock.wall()))
        self._store.remove(key)

    def _report(self, key: Key, uid: str, change: Callable[[Statuses], None]) -> Pod:
        """Change container states, and store what follows from them."""
        pod = copy.deepcopy(self._store.find(key, uid))
        assert pod is not None  # callers look first, and nothing waits between
        status = pod["status"]
        mains = {c["name"]: c for c in status.get("containerStatuses") or _waiting(pod["spec"]["containers"])}
        inits = pod["spec"].get("initContainers") or ()
        firsts = {c["name"]: c for c in status.get("initContainerStatuses") or _waiting(inits)}
        change(mains | firsts)
        self._settle_inits(inits, firsts)
        self._run(uid, mains | firsts)
        status["containerStatuses"] = list(mains.values())
        if firsts:
            status["initContainerStatuses"] = list(firsts.values())
        if any("running" in c["state"] for c in mains.values()) and "podIP" not in status:
            address = f"10.0.0.{self._started % 250 + 1}"
            status |= {"hostIP": "127.0.0.1", "podIP": address, "podIPs": [{"ip": address}]}
        status["phase"] = phase(pod)
        status["conditions"] = conditions(pod, self._clock.wall())
        status["observedGeneration"] = pod["metadata"]["generation"]
        pod["metadata"].pop("resourceVersion")
        return self._store.replace(pod)

    def _settle_inits(self, specs: Any, statuses: Statuses) -> None:
        """An init container that is no sidecar has done its work as soon as it has started."""
        for spec in specs:
            status = statuses[spec["name"]]
            if "running" in status["state"] and spec.get("restartPolicy") != "Always":
                self._ended(status, 0, "Completed")
                status["ready"] = True

    def _run(self, uid: str, statuses: Statuses) -> None:
        """Each container that runs has something that runs in it."""
        for name, status in statuses.items():
            known = self._containers.get((uid, name))
            if "running" in status["state"] and (known is None or known.id != status["containerID"]):
                self._containers[uid, name] = Container(name, status["containerID"])

    def _kill(self, uid: str, container: str) -> None:
        running = self._containers.get((uid, container))
        if running is not None:
            running.ended.set()

    def _kill_all(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        for key in [key for key in self._containers if key[0] == uid]:
            self._containers.pop(key).ended.set()

    def _now(self) -> str:
        return stamp(self._clock.wall())


def _waiting(specs: Any) -> list[dict[str, Any]]:
    """The states of containers that are being created."""
    return [
        {
            "name": spec["name"],
            "state": {"waiting": {"reason": "ContainerCreating"}},
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": spec.get("image", ""),
            "imageID": "",
            "started": False,
        }
        for spec in specs
    ]


def _ready(statuses: Statuses) -> None:
    for status in statuses.values():
        if "running" in status["state"]:
            status["ready"] = True
