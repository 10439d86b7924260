"""Back ends are asked through views, each of one snapshot of the book."""

import pytest

from daemons.rubicante.mechanisms.back_end import GroupName, Held, MechanismRefusedError
from k40s.cpu.model import Mechanism
from tests.fakes.rubicante.containers import container_world
from tests.fakes.rubicante.grants import grant
from tests.fakes.rubicante.world import World, uid


def held(number: int, **more: object) -> Held:
    name = GroupName(pod_uid=uid(number), index=0)
    return Held(name=name, reservation=grant(number, **more))  # type: ignore[arg-type]


@pytest.fixture(params=["groups", "containers"])
def world(request: pytest.FixtureRequest) -> World:
    return World() if request.param == "groups" else container_world()


def test_a_view_answers_for_its_own_snapshot_after_another_was_taken(world: World) -> None:
    one, other = held(1, core=0), held(2, core=1)
    kernel = world.kernel.view([one, other])
    kernel.of(one).claim([one, other])
    before = kernel.of(one).given(one), kernel.of(other).given(other)

    later = world.kernel.view([other])

    assert (kernel.of(one).given(one), kernel.of(other).given(other)) == before
    assert later.of(other).given(other) == before[1]


def test_each_mechanism_sees_only_its_reservations() -> None:
    world = World()
    one, other = held(1), held(2, deadline=True)

    kernel = world.kernel.view([one, other])

    assert [mechanism for mechanism, _ in kernel.all()] == list(Mechanism)
    assert kernel.of(one).may_evict
    assert not kernel.of(other).may_evict
    with pytest.raises(MechanismRefusedError, match="deadline"):
        kernel.of(other).claim([other])


def test_what_a_snapshot_lacks_is_a_stray(world: World) -> None:
    one = held(1)
    world.kernel.view([one]).of(one).claim([one])

    assert not [s for s in world.kernel.view([one]).of(one).sweep() if s.idle]
    world.seconds += 5
    world.kernel.view([]).of(one).sweep()
    world.seconds += 5
    strays = world.kernel.view([]).of(one).sweep()

    assert all(stray.idle for stray in strays)
    assert world.groups.existing() == ()
