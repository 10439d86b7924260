"""All alerts, in the order of docs/runbooks.md. None relies on the label ``job``."""

from typing import Final

from monitoring.alerts.control_plane import CONTROL_PLANE
from monitoring.alerts.insight import INSIGHT
from monitoring.alerts.nodes import NODES
from monitoring.alerts.pods import PODS

ALERTS: Final = {
    "k40s-control-plane": CONTROL_PLANE,
    "k40s-insight": INSIGHT,
    "k40s-nodes": NODES,
    "k40s-pods": PODS,
}
"""By the name of their group."""
