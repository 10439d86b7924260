"""A node's assurance: metrics, alarms, γ, the proposal for β, level and fitness. All pure.

Also the culprit of a hazard (``suspects``), the gauge of harm, and the response to a culprit
(``response``).
"""

from k40s.assurance.level import (
    DEFAULT_THRESHOLDS,
    HIGHEST_LEVEL,
    Thresholds,
    assurance_class,
    fitness,
)

__all__ = ["DEFAULT_THRESHOLDS", "HIGHEST_LEVEL", "Thresholds", "assurance_class", "fitness"]
