"""What a node says of exchanges of servers to those who would send it pods."""

from k40s.annotations import CPU_STATE_KEY, CpuState, parse_cpu_state
from tests.fakes.rubicante.exchange_scene import Exchanging, wanted
from tests.fakes.rubicante.http import state_of
from tests.fakes.rubicante.world import ask


def crowded() -> Exchanging:
    scene = Exchanging()
    for number in (1, 2):
        assert scene.admit(number)
    scene.settle()
    return scene


def published(scene: Exchanging, *, exchanges: bool = True) -> CpuState:
    written = state_of(scene.world, exchanges=exchanges).annotations()
    return parse_cpu_state(written[CPU_STATE_KEY] or "")


def test_an_answer_says_whether_it_is_an_exchange() -> None:
    scene = crowded()

    found = scene.world.reservations.preview(ask(3, wanted(3)))
    assert found.schedulable
    assert found.exchange
    assert not scene.world.reservations.preview(ask(3, wanted(2))).exchange


def test_the_published_state_tells_exchanges_until_one_is_under_way() -> None:
    scene = crowded()
    assert published(scene).tells_exchanges

    assert scene.admit(3)
    assert not published(scene).tells_exchanges


def test_a_node_whose_operator_has_switched_them_off_says_so() -> None:
    assert not published(crowded(), exchanges=False).tells_exchanges
