"""Sixteen extenders that bind at once, against the real API server: no slot is given twice.

Room is smaller than demand, on a TDMA network and on a best-effort one.
"""

from collections.abc import Iterator

import pytest

from localcluster.images.binaries import Binaries
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.network_crowd import Crowd, create_networks, describe, timed
from tests.fakes.registered_nodes import Api, prepare

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PODS = 1000


@pytest.fixture
def crowd(tmp_path_factory: pytest.TempPathFactory, binaries: Binaries) -> Iterator[Crowd]:
    place = tmp_path_factory.mktemp("networks")
    with ControlPlane.on_loopback(directory=place, binaries=binaries) as plane:
        api = Api(plane)
        prepare(api)
        create_networks(api)
        yield Crowd(plane=plane, api=api, count=PODS)
        api.close()


def test_no_slot_is_given_twice_and_none_leaks(crowd: Crowd) -> None:
    pods = crowd.create()

    seconds = timed(lambda: crowd.bind(pods))

    print(describe(crowd, seconds))  # noqa: T201  # the figures belong into the test's report
    assert crowd.faults() == []
    assert crowd.ends.keys() == {"bound", "network.no-slot", "network.capacity"}
    assert crowd.conflicts > 0

    crowd.remove()
    assert [state.reservations for state in crowd.states().values()] == [(), ()]
