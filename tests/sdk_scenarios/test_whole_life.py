"""Every SDK lives a sandbox's whole life through ``headgate serve --policy e2b``, and tells the same as without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from proxy.fakes import FakeE2B
from tests.sdk.client import tell
from tests.sdk.environments import Sdk
from tests.sdk.test_direct import LIFE, OLD, common
from tests.sdk_scenarios.serving import serving


def expected(sdk: Sdk) -> dict[str, Any]:
    """What the SDK tells without a proxy."""
    return LIFE | (OLD if sdk.version == "2.10.2" else {})


async def test_the_same_life_as_without_and_the_upstream_sees_the_same(sdk: Sdk, tmp_path: Path) -> None:
    async with FakeE2B() as direct, FakeE2B() as fake, serving(fake, tmp_path, E2B_CREATE_RATE="1000/s") as headgate:
        assert common(await tell(sdk, "journey", url=direct.url, sandbox_url=direct.sandbox_url)) == expected(sdk)
        base = headgate.url
        told = await tell(sdk, "journey", url=f"{base}/e2b", sandbox_url=f"{base}/e2b-sandbox")
        assert common(told) == expected(sdk)
        assert seen(fake) == seen(direct)
        assert fake.live() == []


async def test_the_same_life_under_a_tenants_path(sdk: Sdk, tmp_path: Path) -> None:
    async with FakeE2B() as fake, serving(fake, tmp_path, E2B_CREATE_RATE="1000/s") as headgate:
        base = f"{headgate.url}/t/acme"
        told = await tell(sdk, "journey", url=f"{base}/e2b", sandbox_url=f"{base}/e2b-sandbox")
        assert common(told) == expected(sdk)
        assert fake.live() == []
        assert fake.seen.refused == {}


HOP: Final = {"host", "connection", "e2b-sandbox-id"}
"""Addresses, what is hop-by-hop, and what 2.10.2 sends beside the path with a connect."""
PAGE: Final = re.compile("nextToken=[^&]*")
NAME: Final = re.compile("/sandboxes/([a-z0-9]+)")


def seen(fake: FakeE2B) -> list[tuple[str, str, list[tuple[str, str]], bytes]]:
    """Every control-plane request as it was on the wire, less what differs by run: ids, page marks, the address."""
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return f"/sandboxes/{numbers.setdefault(found[1], str(len(numbers)))}"

    told = []
    for call in fake.seen.calls:
        target = PAGE.sub("nextToken", NAME.sub(number, call.target))
        headers = [(name, value) for name, value in call.headers if name.lower() not in HOP]
        told.append((call.method, target, headers, call.body))
    return told
