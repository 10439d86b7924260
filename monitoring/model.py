"""Boards, panels and alerts as values. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum, unique

_WIDTH = 24
"""Columns of a board."""


@unique
class Kind(StrEnum):
    """How a panel shows its figures; Grafana's names."""

    STAT = "stat"
    """One figure each."""
    LINES = "timeseries"
    """Figures over time."""
    BARS = "bargauge"
    """Figures at the end of the range, side by side."""


@unique
class Unit(StrEnum):
    """Grafana's names of units."""

    COUNT = "short"
    SHARE = "percentunit"
    SECONDS = "s"
    PER_SECOND = "ops"


@unique
class Severity(StrEnum):
    """How soon somebody has to act."""

    CRITICAL = "critical"
    """Now: a guarantee is broken, or nothing new is placed."""
    WARNING = "warning"
    """Today: it will become critical, or one request was not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL; ``@ns`` and ``@node`` stand for the label filters of the board's variables."""

    expr: str
    legend: str = ""

    def resolved(self) -> str:
        """The expression with Grafana's variables."""
        namespace = 'namespace=~"$namespace"'
        with_node = self.expr.replace("@node", f'{namespace},node=~"$node"')
        return with_node.replace("@ns", namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. ``bad_above``: figures from it on are red; ``bad_below``: those below it."""

    title: str
    kind: Kind
    unit: Unit
    description: str
    queries: tuple[Query, ...]
    width: int = 8
    bad_above: float | None = None
    bad_below: float | None = None

    def __post_init__(self) -> None:
        if not (self.title and self.description and self.queries):
            raise ValueError(f"panel {self.title!r}: title, description and queries are needed")
        if not 0 < self.width <= _WIDTH:
            raise ValueError(f"panel {self.title!r}: a width between 1 and {_WIDTH} is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled row of panels, wrapped as they need room."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. ``uid`` is in links to it and never changes."""

    uid: str
    title: str
    description: str
    sections: tuple[Section, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels."""
        return tuple(panel for section in self.sections for panel in section.panels)

    def has_nodes(self) -> bool:
        """Whether a query chooses by node."""
        return any("@node" in query.expr for panel in self.panels for query in panel.queries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert. ``lasts`` is for how long ``expr`` must hold, a duration of Prometheus's."""

    name: str
    expr: str
    lasts: str
    severity: Severity
    summary: str
    """One line with the figure."""
    action: str
    """What to do first; the runbook has the rest."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"K40s[A-Z]\w+", self.name):
            raise ValueError(f"alert {self.name!r}: a name such as K40sDaemonSilent is needed")
        if not re.fullmatch(r"\d+[smh]", self.lasts):
            raise ValueError(f"alert {self.name}: {self.lasts!r} is no duration such as 5m")
        if "$value" not in self.summary and "{{" not in self.summary and "absent" not in self.expr:
            raise ValueError(f"alert {self.name}: its summary lacks the figure")

    @property
    def anchor(self) -> str:
        """Of its heading in docs/runbooks.md."""
        return self.name.lower()
