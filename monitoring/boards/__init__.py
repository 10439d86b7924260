"""The three boards: the fleet, a node, and what happens to pods."""

from typing import Final

from monitoring.boards.fleet import FLEET
from monitoring.boards.node import NODE
from monitoring.boards.pods import PODS

BOARDS: Final = {"fleet": FLEET, "node": NODE, "pods": PODS}
"""By the name of their file."""
