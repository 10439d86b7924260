"""A node's assurance: metrics, alarms, γ, the proposal for β, level and fitness. All pure."""

from k40s.assurance.level import (
    DEFAULT_THRESHOLDS,
    HIGHEST_LEVEL,
    Thresholds,
    assurance_class,
    fitness,
)

__all__ = ["DEFAULT_THRESHOLDS", "HIGHEST_LEVEL", "Thresholds", "assurance_class", "fitness"]
