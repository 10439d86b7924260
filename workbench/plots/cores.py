"""The cores of a live node as values to draw: stacked servers, and what is free. Pure."""

from dataclasses import dataclass

from k40s.overview.model import CoreRow, NodeRow, ServerRow

MOST_CORES = 64
"""Rows of a picture."""
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One server from ``start``, in shares of one core; ``owner`` is what tells it from others."""

    owner: str
    label: str
    criticality: str
    start: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreBar:
    """One core: its servers from the left, and up to where it may be filled."""

    core: str
    capacity: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoresPicture:
    """The cores of a node at an instant; ``note`` says what is left out, or ""."""

    title: str
    bars: tuple[CoreBar, ...]
    note: str

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose servers there are, in the order of their first appearance."""
        return tuple(dict.fromkeys(one.owner for bar in self.bars for one in bar.segments))


def cores_picture(row: NodeRow, *, at: str) -> CoresPicture:
    """The picture of a node's cores."""
    left_out = len(row.cores) - MOST_CORES
    level = "assurance not usable" if row.level is None else f"assurance {row.level} of 20"
    return CoresPicture(
        title=f"node {row.name}, {level}, at {at}",
        bars=tuple(map(_bar, row.cores[:MOST_CORES])),
        note=f"{left_out} more cores are not drawn" if left_out > 0 else "",
    )


def _bar(core: CoreRow) -> CoreBar:
    segments: list[Segment] = []
    start = 0.0
    for one in core.servers:
        segments.append(_segment(one, start))
        start += one.share
    return CoreBar(core=core.core, capacity=core.capacity, segments=tuple(segments))


def _segment(one: ServerRow, start: float) -> Segment:
    owner = f"{one.namespace}/{one.pod}" if one.pod else one.pod_uid or _OTHERS
    label = one.pod or owner
    return Segment(
        owner=owner, label=label, criticality=one.criticality, start=start, share=one.share
    )
