"""Every fault in both places, under a burst that is smaller than `make chaos` makes it: no invariant breaks."""

import pytest

from chaos.__main__ import PLACES
from chaos.faults import FAULTS, Fault
from chaos.report import Place, broken
from chaos.storm import Size, run
from chaos.toxics import Toxiproxy

SMALL = Size(callers=60, seats=10, every="400ms")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_no_invariant_breaks(server: Toxiproxy, fault: Fault, place: Place) -> None:
    report = await run(server, fault, place, SMALL)
    assert broken(report) == []
    if fault.effect != "passes" and place == "upstream":
        assert report.served < report.asked, "the fault hit nobody, so this run shows nothing"
    if fault.effect == "sticks" and place == "receiver":
        assert report.beats["failed"] > 0, "no delivery hung, so this run shows nothing"


async def test_a_cap_that_does_not_hold_is_seen(server: Toxiproxy) -> None:
    """The control: with more seats than the upstream takes, the same run must be found broken."""
    report = await run(server, FAULTS[0], "upstream", Size(callers=60, seats=10, cap=9))
    assert broken(report) == [
        "10 creates under way at the upstream, and 9 seats",
        "10 busy connections to the upstream, and 9 seats",
    ]
