"""A small kubelet: a pod's statuses as events change them, and the phase it gives them. Not a test.

The phase is a port of the kubelet's getPhase (kubernetes.md §3.2), made without a look at the code it checks. Events
that are impossible in a state change nothing, so that any list of events is a life.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.support.pod_states import Json, condition, container_status, pod, running, terminated, waiting

TERMINAL: Final = ("Succeeded", "Failed")
Deed = Literal["go on", "back off", "restart all", "delete", "lose node", "find node", "evict"]
"""``go on``: what waits starts, what runs ends, what ended starts again where it should."""
Event = tuple[Deed, int, int]
"""What happens, to which container (modulo their number), with which exit code."""


@dataclass
class Plan:
    """What a pod is to be: names of regular containers and native sidecars, with their own policies and rules."""

    restart_policy: str
    containers: dict[str, Json]
    natives: dict[str, Json] = field(default_factory=dict)
    started: bool = False
    """Whether all run at first."""


def should_restart(spec: Json, policy: str, code: int) -> bool:
    """The kubelet's ContainerShouldRestart."""
    if "restartPolicy" in spec:
        if action(spec, code) == "Restart":
            return True
        policy = spec["restartPolicy"]
    return {"Never": False, "OnFailure": code != 0, "Always": True}[policy]


def action(spec: Json, code: int) -> str | None:
    """What the first rule about this exit code does."""
    for rule in spec.get("restartPolicyRules", ()):
        if (code in rule["exitCodes"]["values"]) == (rule["exitCodes"]["operator"] == "In"):
            found: str = rule["action"]
            return found
    return None


def get_phase(shown: Json, *, terminal: bool = False) -> str:
    """The phase by spec and statuses; ``terminal``: the pod is being torn down and nothing restarts."""
    spec, status = shown["spec"], shown["status"]
    states = {one["name"]: one for one in status["containerStatuses"] + status["initContainerStatuses"]}
    running_, waiting_, unknown, codes, again = 0, 0, 0, [], False
    for container in spec["initContainers"]:  # native sidecars: their end does not count
        state = states[container["name"]]
        running_ += "running" in state["state"]
        waiting_ += "waiting" in state["state"] and not state["lastState"]
    for container in spec["containers"]:
        state = states.get(container["name"], {"state": {}})
        ended = state["state"].get("terminated")
        if "waiting" in state["state"]:
            ended = state["lastState"].get("terminated")
            if ended is not None and ended["reason"] == "RestartingAllContainers":
                ended = None
            waiting_ += ended is None
        if ended is not None:
            codes.append(ended["exitCode"])
            again = again or should_restart(container, spec["restartPolicy"], ended["exitCode"])
        running_ += "running" in state["state"]
        unknown += not state["state"]
    if waiting_:
        return "Pending"
    if running_ and not unknown:
        return "Running"
    if codes and not unknown:
        if again and not terminal:
            return "Running"
        return "Failed" if any(codes) else "Succeeded"
    return "Pending"


class Kubelet:
    """One pod's life."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._specs = plan.containers | plan.natives
        state = running if plan.started else waiting
        self._statuses = {name: container_status(name, state()) for name in self._specs}
        self._deleting = self._lost = self._restarting_all = False
        self._evicted = False
        self._phase = "Pending"

    def live(self, events: Iterable[Event]) -> Iterator[Json]:
        """The pod as the API server shows it, at first and after each event."""
        yield self.shown()
        for deed, which, code in events:
            name = list(self._specs)[which % len(self._specs)]
            self._do(deed, name, code)
            yield self.shown()

    def shown(self) -> Json:
        """The pod now. It shares parts with the pod before, which nobody may change."""
        document = self._document(self._phase)
        if self._phase not in TERMINAL:  # terminal phases are sticky
            over = self._deleting and not any("running" in one["state"] for one in self._statuses.values())
            self._phase = "Failed" if self._evicted else get_phase(document, terminal=over)
        document["status"]["phase"] = self._phase
        return document

    def _document(self, phase: str) -> Json:
        status: dict[str, Any] = {"phase": phase}
        if self._lost or self._evicted:
            status["reason"] = "Evicted" if self._evicted else "NodeLost"
        if self._restarting_all:
            status["conditions"] = [condition("AllContainersRestarting", "True")]
        return pod(
            *(self._statuses[name] for name in self._plan.containers),
            restart_policy=self._plan.restart_policy,
            specs=self._plan.containers,
            inits=[{"name": name, **spec} for name, spec in self._plan.natives.items()],
            init_statuses=[self._statuses[name] for name in self._plan.natives],
            deleting=self._deleting,
            status=status,
        )

    def _do(self, deed: Deed, name: str, code: int) -> None:
        if deed == "find node":
            self._lost = False
        if self._lost:
            return  # nobody reports what happens there
        told = self._statuses[name]
        state, last, count = told["state"], told["lastState"], told["restartCount"]
        ended = state.get("terminated")
        again = ended is not None and not self._stopped() and self._restarts(name, ended["exitCode"])
        match deed:
            case "go on" if "running" in state:
                self._statuses[name] = container_status(name, terminated(code), last=last, restarts=count)
                asked = action(self._specs[name], code) == "RestartAllContainers"
                self._restarting_all = self._restarting_all or (asked and not self._stopped())
            case "go on" if again or ("waiting" in state and not self._stopped()):
                last = state if again else last
                self._statuses[name] = container_status(name, running(), last=last, restarts=count + bool(last))
            case "back off" if again:
                self._statuses[name] = container_status(name, waiting("CrashLoopBackOff"), last=state, restarts=count)
            case "delete":
                self._deleting = True
            case "lose node":
                self._lost = True
            case "evict" if self._phase not in TERMINAL:
                self._evicted = self._deleting = True
            case "restart all" if self._restarting_all:
                self._restarting_all = False
                if not self._stopped():
                    for one in self._specs:
                        self._statuses[one] = self._anew(one)
            case _:
                pass

    def _stopped(self) -> bool:
        """Whether nothing starts any more."""
        return self._deleting or self._evicted or self._phase in TERMINAL

    def _restarts(self, name: str, code: int) -> bool:
        return not self._restarting_all and should_restart(self._specs[name], self._plan.restart_policy, code)

    def _anew(self, name: str) -> Json:
        last = terminated(137, "RestartingAllContainers")
        count = self._statuses[name]["restartCount"] + 1
        return container_status(name, waiting("RestartingAllContainers"), last=last, restarts=count)
