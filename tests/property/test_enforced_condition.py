"""The condition k40s.io/enforced, whatever becomes of threads, API server and watch."""

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.enforced_scene import EnforcedScene

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = st.lists(
    st.sampled_from(["start", "end", "look", "look", "away", "back", "silent", "heard"]),
    max_size=80,
)


@given(steps=STEPS)
def test_whatever_happens_writes_are_few_and_the_last_one_is_true(steps: list[str]) -> None:
    scene = EnforcedScene()
    scene.world.reserve(1)
    scene.bind()
    server, tids, moments = scene.world.server, [], []

    def look() -> None:
        before = len(server.conditions)
        scene.look()
        moments.extend([scene.world.seconds] * (len(server.conditions) - before))

    actions: dict[str, Callable[[], object]] = {
        "start": lambda: tids or tids.append(scene.start()),
        "end": lambda: tids and scene.end(tids.pop()),
        "look": look,
        "away": lambda: setattr(server, "down", True),
        "back": lambda: setattr(server, "down", False),
        "silent": lambda: setattr(scene, "echo", False),
        "heard": lambda: setattr(scene, "echo", True),
    }
    for step in steps:
        actions[step]()
    server.down, scene.echo = False, True
    for _ in range(90):
        look()

    assert server.conditions[-1][1].status is bool(tids)
    assert max(sum(m <= n < m + 30 for n in moments) for m in moments) <= 4
