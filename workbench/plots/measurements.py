"""Pictures of measurements: boxes by group, and traces over shaded time. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Percentiles of one group: the box is the middle half, whiskers reach from 1 to 99 %."""

    label: str
    p1: float
    p25: float
    median: float
    p75: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPanel:
    """The boxes of one panel."""

    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPicture:
    """Two rows of panels that share their scales: ``upper`` logarithmic, ``lower`` linear."""

    title: str
    upper_label: str
    lower_label: str
    upper: tuple[BoxPanel, ...]
    lower: tuple[BoxPanel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A labelled stretch of time, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Values over time in seconds; ``level`` is a threshold to draw, if any."""

    label: str
    times: tuple[float, ...]
    values: tuple[float, ...]
    level: float | None = None
    logarithmic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePicture:
    """Traces above each other over the same time."""

    title: str
    shades: tuple[Shade, ...]
    traces: tuple[Trace, ...]


def thinned(
    times: Sequence[float], values: Sequence[float], most: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """At most so many points: of each stretch the one with the largest value."""
    step = -(-len(times) // most)
    kept = [
        max(range(first, min(first + step, len(times))), key=lambda index: values[index])
        for first in range(0, len(times), step)
    ]
    return tuple(times[index] for index in kept), tuple(values[index] for index in kept)
