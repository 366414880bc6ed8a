"""Process settings: from the environment (``HEADGATE_…``), and from flags, which win. Read once, frozen.

Settings are not policy: changing one takes a restart. Secrets here (salt, admin key) never appear in logs or errors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from proxy.domain.quantities import QuantityError, parse_duration


class SettingsError(ValueError):
    """Settings that cannot be used; one line says which and why."""


def _duration(value: object) -> object:
    try:
        return parse_duration(value) if isinstance(value, str) else value
    except QuantityError as error:
        raise ValueError(f"{error.problem}; {error.hint}") from None


_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-]+):(\d{1,5})")


class Settings(BaseSettings):
    """What a process needs to know before it reads any policy."""

    model_config = SettingsConfigDict(env_prefix="HEADGATE_", frozen=True, extra="ignore")

    policy: str = Field(default="", description="policy file, folder, or the name of a shipped policy")
    listen: str = Field(default="127.0.0.1:8080", description="where callers connect, host:port")
    admin: str = Field(default="127.0.0.1:9090", description="where health, metrics and state are, host:port")
    store: str = Field(default="memory://", description="where pools live: memory://")
    drain: Annotated[float, BeforeValidator(_duration)] = Field(
        default=30.0, description="how long running requests may take to finish after SIGTERM; seconds"
    )
    connections: int = Field(
        default=0, ge=0, description="callers connected at once; 0: half of the open files allowed, at most 16384"
    )
    workers: int = Field(default=1, ge=1, description="processes; more than one needs a shared store")
    state_dir: Path | None = Field(default=None, description="what outlives the process; see state_folder()")
    salt: SecretStr | None = Field(default=None, description="names credentials; the same on every replica")
    admin_token: SecretStr | None = Field(default=None, description="wanted by the admin API off loopback")
    log_format: Literal["json", "text"] = Field(default="json", description="of the access log")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="of the error log")

    @field_validator("listen", "admin")
    @classmethod
    def _is_address(cls, value: str) -> str:
        found = _ADDRESS.fullmatch(value)
        if found is None or int(found[2]) > 65535:
            raise ValueError(f'"{value}" is no address; write host:port, for example 127.0.0.1:8080')
        return value

    @field_validator("store")
    @classmethod
    def _is_store(cls, value: str) -> str:
        if value in ("memory", "memory://"):
            return "memory://"
        if value.startswith(("redis", "rediss", "unix")):
            raise ValueError("the redis store is not available in this version; use memory://")
        raise ValueError(f'"{value.split("://")[0]}" is no store; use memory://')

    @field_validator("workers")
    @classmethod
    def _is_shared(cls, value: int) -> int:
        if value > 1:
            raise ValueError("several workers need a shared store, which is not available in this version; use 1")
        return value


def load_settings(flags: dict[str, Any]) -> Settings:
    """Settings of the environment and the flags that were given; SettingsError with one line where they are wrong."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port of a checked address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
