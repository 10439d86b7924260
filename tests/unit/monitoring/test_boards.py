"""Every panel can be read, and shows what the code exports."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from monitoring.__main__ import COMPONENTS, files
from monitoring.boards import BOARDS
from monitoring.grafana import SCHEMA, format_board
from monitoring.model import Board, Kind, Panel, Query, Section, Unit
from tests.fakes.monitoring.expressions import documented, listed_metrics, selectors
from tests.fakes.monitoring.healthy import series

LISTED = listed_metrics()
OF_PROMETHEUS = {"ALERTS"}
"""Prometheus itself has this one: which alerts fire."""
PANELS = [(board, panel) for board in BOARDS.values() for panel in board.panels]


@pytest.mark.parametrize(("path", "text"), list(files()), ids=lambda one: str(one)[-30:])
def test_the_manifests_are_what_the_source_writes(path: Path, text: str) -> None:
    """``make boards`` writes them again."""
    assert (COMPONENTS / path).read_text(encoding="utf-8") == text


def test_every_panel_has_a_title_of_its_own_a_unit_and_a_sentence() -> None:
    for board in BOARDS.values():
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles))
    assert len(PANELS) > 40
    assert [p.title for _, p in PANELS if not p.description.endswith((".", ")"))] == []
    assert [p.title for _, p in PANELS if not isinstance(p.unit, Unit)] == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [({"title": ""}, "title, desc"), ({"queries": ()}, "queries"), ({"width": 0}, "width")],
)
def test_a_panel_that_lacks_something_is_refused(fault: dict[str, Any], text: str) -> None:
    whole: dict[str, Any] = {
        "title": "Nodes",
        "kind": Kind.STAT,
        "unit": Unit.COUNT,
        "description": "Nodes.",
        "queries": (Query(expr="k40s_extender_nodes"),),
    }

    with pytest.raises(ValueError, match=text):
        Panel(**{**whole, **fault})


def test_every_metric_of_a_query_is_documented() -> None:
    named = [
        (panel.title, selector.name)
        for _, panel in PANELS
        for query in panel.queries
        for selector in selectors(query.expr)
    ]

    assert len(named) >= len(PANELS)
    assert [
        one for one in named if one[1] not in OF_PROMETHEUS and not documented(one[1], LISTED)
    ] == []


def test_every_label_value_and_grouping_of_a_query_is_exported() -> None:
    exported = list(series())
    labels = {name for _, each, _ in exported for name in each}
    groupings = {
        name.strip()
        for _, panel in PANELS
        for query in panel.queries
        for names in re.findall(r"by \(([^)]*)\)", query.expr)
        for name in names.split(",")
    }
    legends = {
        name
        for _, panel in PANELS
        for query in panel.queries
        for name in re.findall(r"\{\{(\w+)\}\}", query.legend)
    }

    assert (groupings | legends) - labels == set()


def test_every_query_is_limited_to_the_chosen_namespace() -> None:
    wrong = [
        (panel.title, selector.name)
        for _, panel in PANELS
        for query in panel.queries
        for selector in selectors(query.resolved())
        if selector.name not in OF_PROMETHEUS
        and ("namespace", "=~", "$namespace") not in selector.matchers
    ]

    assert wrong == []


def test_the_identifiers_of_boards_stay_as_they_are() -> None:
    """They are in people's links and bookmarks."""
    assert {name: board.uid for name, board in BOARDS.items()} == {
        "fleet": "k40s-fleet",
        "node": "k40s-node",
        "pods": "k40s-pods",
    }


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.uid)
def test_no_data_source_is_named_but_by_the_variable(board: Board) -> None:
    model: Any = format_board(board)
    text = json.dumps(model)

    assert set(re.findall(r'"type": "prometheus", "uid": "([^"]+)"', text)) == {"${datasource}"}
    variables = [one["name"] for one in model["templating"]["list"]]
    assert variables == ["datasource", "namespace", *(["node"] if board.has_nodes() else [])]
    assert model["schemaVersion"] == SCHEMA
    assert "$node" not in text or "node" in variables


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.uid)
def test_panels_lie_side_by_side_within_the_board(board: Board) -> None:
    panels: list[Any] = format_board(board)["panels"]  # type: ignore[assignment]  # JSON

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(panels) == len(board.panels) + len(board.sections)
    cells = [
        {
            (x, y)
            for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
            for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
        }
        for p in panels
    ]
    assert max(x for each in cells for x, _ in each) < 24
    assert [1 for one, other in combinations(cells, 2) if one & other] == []


def test_a_row_that_is_full_goes_on_below() -> None:
    panel = Panel(
        title="Nodes",
        kind=Kind.LINES,
        unit=Unit.COUNT,
        description="Nodes.",
        queries=(Query(expr="k40s_extender_nodes{@node}", legend="{{node}}"),),
        width=16,
    )
    board = Board(
        uid="k40s-b",
        title="b",
        description="b",
        sections=(Section(title="s", panels=(panel, panel)), Section(title="t", panels=(panel,))),
    )

    panels: list[Any] = format_board(board)["panels"]  # type: ignore[assignment]  # JSON
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels]

    assert places == [(0, 0), (0, 1), (0, 9), (0, 17), (0, 18)]
    assert panels[1]["targets"][0]["expr"] == (
        'k40s_extender_nodes{namespace=~"$namespace",node=~"$node"}'
    )
