"""A board as Grafana's JSON model. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from monitoring.model import Board, Kind, Panel, Section

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

SCHEMA: Final = 39
"""Of Grafana 10.4 and 11; later ones migrate it when they load it."""
_DATASOURCE: Final[dict[str, Json]] = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _LOW = 24, 8, 4


def format_board(board: Board) -> dict[str, Json]:
    """The board's JSON model."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["k40s"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "k40s",
                "tags": ["k40s"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": _variables(board)},
        "panels": list(_panels(board.sections)),
    }


def _variables(board: Board) -> list[Json]:
    found: list[Json] = [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
        },
        _labels("namespace", "Namespace of k40s", "k40s_extender_nodes"),
    ]
    if board.has_nodes():
        found.append(_labels("node", "Node", 'k40s_malacoda_level{namespace=~"$namespace"}'))
    return found


def _labels(name: str, label: str, metric: str) -> Json:
    """A variable with the values of a label; "All" matches series without the label as well."""
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": dict(_DATASOURCE),
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels(sections: Iterable[Section]) -> Iterable[Json]:
    number, y = 1, 0
    for section in sections:
        yield {
            "id": number,
            "type": "row",
            "title": section.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
        }
        number, y, x, tallest = number + 1, y + 1, 0, 0
        for panel in section.panels:
            height = _LOW if panel.kind is Kind.STAT else _HEIGHT
            if x + panel.width > _WIDTH:
                x, y, tallest = 0, y + tallest, 0
            yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height})
            number, x, tallest = number + 1, x + panel.width, max(tallest, height)
        y += tallest


def _panel(panel: Panel, number: int, place: Mapping[str, Json]) -> dict[str, Json]:
    instant = panel.kind is Kind.BARS
    return {
        "id": number,
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.description,
        "datasource": dict(_DATASOURCE),
        "gridPos": dict(place),
        "fieldConfig": {
            "defaults": {"unit": panel.unit.value, **_limits(panel)},
            "overrides": [],
        },
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": dict(_DATASOURCE),
                "expr": query.resolved(),
                "legendFormat": query.legend or "__auto",
                "instant": instant,
                "range": not instant,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _limits(panel: Panel) -> dict[str, Json]:
    """Green and red, and the axis that starts at zero."""
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.bad_above is not None:
        steps.append({"color": "red", "value": panel.bad_above})
    if panel.bad_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    coloured = "palette-classic" if panel.kind is Kind.LINES else "thresholds"
    return {
        "min": 0,
        "color": {"mode": coloured},
        "thresholds": {"mode": "absolute", "steps": steps},
    }


def _options(kind: Kind) -> dict[str, Json]:
    if kind is Kind.LINES:
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    figures: dict[str, Json] = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if kind is Kind.BARS:
        return {"orientation": "horizontal", "displayMode": "basic", "reduceOptions": figures}
    return {"colorMode": "value", "graphMode": "area", "reduceOptions": figures}
