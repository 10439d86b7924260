"""What a cluster's texts may do to a terminal: nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k40s.explanation.model import Explanation, Figure, NodeExplanation, Obstacle, PodStory
from k40s.overview.model import Happening
from tests.fakes.observed_cluster import ObservedCluster, event_item
from workbench.cluster_tables.explanation import explanation_text
from workbench.cluster_tables.node_page import node_page
from workbench.cluster_tables.story import story_text
from workbench.printable import in_line, printable
from workbench.table import format_table

HOSTILE = "fine\x1b]0;title\x07\nsecond line"


@given(st.text())
def test_nothing_but_line_breaks_is_left_of_what_is_not_shown(text: str) -> None:
    assert printable(text).replace("\n", "").isprintable()
    assert in_line(text).isprintable()


@given(st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" ")))
def test_what_is_shown_stays(text: str) -> None:
    assert printable(text) == in_line(text) == text


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\x9b", "\u202e", "\x00", "\ud800"])
def test_a_control_character_is_shown_as_its_escape(character: str) -> None:
    assert printable(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


def test_a_cell_is_one_line() -> None:
    table = format_table(("POD", "WHY"), [("pump", "no room\nvalve  running\x1b[2J")])

    assert table == "POD   WHY\npump  no room valve  running\\x1b[2J"


def hostile_explanation() -> Explanation:
    node = NodeExplanation(
        name="edge",
        reason="cpu.no-bandwidth",
        text=HOSTILE,
        detail=HOSTILE,
        figures=(Figure(what=HOSTILE, needed=HOSTILE, free=HOSTILE),),
        obstacles=(
            Obstacle(namespace="n", pod="p", pod_uid="u", criticality=HOSTILE, what=HOSTILE),
        ),
        remedies=(HOSTILE,),
        score=None,
        parts=(),
        age=None,
    )
    return Explanation(
        namespace="plant", pod="p", criticality="HI", fault=None, nodes=(node,), remarks=(HOSTILE,)
    )


def hostile_story() -> PodStory:
    return PodStory(
        namespace="plant",
        pod="pump",
        pod_uid="uid",
        criticality=HOSTILE,
        node="edge",
        phase="Running",
        since=HOSTILE,
        summary=HOSTILE,
        level=None,
        level_needed=0,
        servers=(),
        networks=(HOSTILE,),
        enforced=False,
        enforced_why=HOSTILE,
        enforced_since=HOSTILE,
        overruns=HOSTILE,
        conditions=(),
        happenings=(Happening(at="", kind="other", node="", namespace="", pod="", text=HOSTILE),),
    )


def hostile_page() -> str:
    cluster = ObservedCluster()
    cluster.add_node("edge")
    about = {"kind": "Node", "name": "edge", "uid": "edge"}
    cluster.events = [event_item("SuspectFrozen", HOSTILE, about=about)]
    overview = cluster.overview()
    return node_page(overview, overview.nodes[0])


@pytest.mark.parametrize(
    "text",
    [
        explanation_text(hostile_explanation(), wide=True),
        story_text(hostile_story(), wide=True),
        hostile_page(),
    ],
)
def test_no_text_of_the_cluster_reaches_the_terminal_as_it_is(text: str) -> None:
    assert text.replace("\n", "").isprintable()
    assert not [line for line in text.splitlines() if line.lstrip().startswith("second line")]
