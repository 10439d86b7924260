"""Small clusters whose explanations the documents show."""

import json
from pathlib import Path

from k40s.explanation.model import Explanation, PodStory
from k40s.explanation.story import StoryNode, story, story_event
from tests.fakes.extender.full_nodes import fill, rt_pod
from tests.fakes.extender.world import World, make_cpu_state, make_node

_RECORDED = Path(__file__).parents[1] / "fixtures" / "explanation" / "bound-pod.json"


def refused() -> Explanation:
    """A full core, a silent daemon, a hazard."""
    world = World()
    fill(world, "edge-1", rt_pod("vision", "LOW", "60ms"))
    world.add(make_node("edge-2", level=12, reduced=5, hazards=("cpu-system",)))
    world.add(make_node("edge-3", level=18, cpu=make_cpu_state()))
    world.clock.advance(47)
    world.beat("edge-1")
    world.beat("edge-2")
    world.beat("edge-3", "malacoda")
    world.clock.advance(4)
    return world.explain(rt_pod("arm", "HI", "40ms"))


def fitting() -> Explanation:
    """Two nodes that fit, and one whose assurance is too low."""
    world = World()
    world.add(
        make_node("edge-1", level=20, cpu=make_cpu_state()),
        make_node("edge-2", level=16, cpu=make_cpu_state()),
        make_node("edge-3", level=9),
    )
    world.clock.advance(2)
    return world.explain(rt_pod("arm", "HI", "20ms"))


def running() -> PodStory:
    """A pod that is throttled and about to be moved."""
    recorded = json.loads(_RECORDED.read_text(encoding="utf-8"))
    events = map(story_event, recorded["events"])
    return story(recorded["pod"], node=StoryNode(level=17), events=events)
