"""The rings of the architecture, as data: what each part of ``proxy`` may know.

A *part* is what stands directly under the package, folder or file: ``proxy.domain`` and ``proxy.ports`` are
parts. One that is not in the tables has no place yet, which is an error: whoever adds it decides here what it
may import. Why they stand in this order: docs/decisions/0002-rules-once-in-a-pure-core.md.
"""

from dataclasses import dataclass
from typing import Final

RING: Final = frozenset({"domain", "policy", "dialects", "admission", "problems"})
"""The pure ring: decides, and does nothing else."""

INNER: Final = RING | {"ports"}
"""What the journey stands on."""

SHELL: Final = frozenset({"wire", "admin", "stores", "couriers", "observe"})
"""What moves bytes: siblings, which meet in ``app`` and nowhere else."""


@dataclass(frozen=True, slots=True)
class Contract:
    """``parts`` may import of ``proxy`` only themselves and ``may``. A failing test prints the name."""

    name: str
    parts: frozenset[str]
    may: frozenset[str]


def _contract(name: str, parts: str, may: frozenset[str] | set[str]) -> Contract:
    return Contract(name, frozenset(parts.split()), frozenset(may))


CONTRACTS: Final = (
    _contract("The domain knows nobody", "domain", set()),
    _contract("Policy, dialects and admission know the domain but not each other", "policy", {"domain"}),
    _contract("Dialects know the domain but neither policy nor admission", "dialects", {"domain"}),
    _contract("Admission knows the domain but neither policy nor dialects", "admission", {"domain"}),
    _contract("The table of problems knows the domain's errors and nothing else", "problems", {"domain"}),
    _contract("Ports speak of what the pure ring defines", "ports", RING),
    _contract("The journey sees the world only through ports", "pipeline", INNER),
    _contract("The wire carries; it knows the journey but no other part of the shell", "wire", INNER | {"pipeline"}),
    _contract("The admin listener knows no other part of the shell", "admin", INNER | {"pipeline"}),
    _contract("A store knows no other part of the shell", "stores", INNER | {"pipeline"}),
    _contract("Couriers know no other part of the shell", "couriers", INNER | {"pipeline"}),
    _contract("Metrics and logs know no other part of the shell", "observe", INNER | {"pipeline"}),
    _contract("The fakes know nothing of what is tested with them", "fakes", set()),
    _contract("Settings are read before anything else exists", "settings", {"domain"}),
    _contract("What outlives the process is files, and knows nobody", "state", set()),
    _contract("Certificates are files of the state folder, and know nobody else", "certificates", {"state"}),
    _contract("Reload knows policies and who swaps them, not what they mean", "reload", {"policy"}),
    _contract(
        "The composition root knows all but the command line",
        "app",
        INNER | SHELL | {"pipeline", "settings", "reload", "state", "certificates"},
    ),
    _contract(
        "The command line is on top",
        "cli",
        INNER | SHELL | {"pipeline", "settings", "state", "certificates", "reload", "app", "fakes"},
    ),
    _contract("python -m proxy is the command line", "__main__", {"cli"}),
)

IMPURE: Final = frozenset(
    {
        "asyncio", "concurrent", "ctypes", "http.client", "http.server", "logging", "multiprocessing", "os",
        "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket",
        "socketserver", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid",
    }
)  # fmt: skip
"""Standard modules by which the outside gets in: clocks, randomness, files, processes, sockets, logs."""

PURE_LIBRARIES: Final = frozenset({"msgspec"})
"""Libraries that the pure ring may use anywhere: they compute and do nothing else."""

ONLY_IN: Final[dict[str, tuple[str, ...]]] = {
    "pydantic": ("policy/schema*.py", "policy/schema/*.py", "settings.py", "settings/*.py"),
    "pydantic_core": ("policy/schema*.py", "policy/schema/*.py", "settings.py", "settings/*.py"),
    "pydantic_settings": ("settings.py", "settings/*.py"),
    "yaml": ("policy/*.py", "cli/kubeconfig*.py"),
    "cryptography": ("certificates/*.py",),
    "redis": ("stores/*.py", "stores/**/*.py"),
    "httptools": ("wire/*.py", "wire/**/*.py", "fakes/*.py"),
    "rich": ("cli.py", "cli/*.py"),
}
"""Libraries with one place each, so that leaving one is a change in one place."""

ENVIRONMENT: Final = frozenset({"settings", "app", "cli", "__main__"})
"""Parts that may read the environment; every other part is told."""

FORBIDDEN_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
FORBIDDEN_METHODS: Final = frozenset(
    {"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes", "import_module"}
)
"""``datetime.now()``, ``Path(...).read_text()`` and the like, in the pure ring."""

MOST_LINES: Final = 400
MOST_FUNCTION_LINES: Final = 60
"""Without its docstring. 40 is what we aim for, 60 is where the build stops."""

LONG_FILES: Final[dict[str, str]] = {}
"""Files over the budget, each with the reason why it is better whole. One that is no longer needed fails."""

LONG_FUNCTIONS: Final[dict[str, str]] = {}
"""``path::Class.function`` over the budget, with the reason; likewise."""
