"""A digest of the slots that a station holds, to compare what its kernel shows with the status.

The table of a network is in its status, and each station keeps its own part. Both are said in the
same words: pod, and windows of each slot. Eight hexadecimal digits fit into the node's annotation.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from k40s.network.model import NetworkReservation
from k40s.tdma.model import Window

Held = tuple[str, Sequence[Window]]
"""A pod's UID, and the windows of one slot of it."""


def digest(slots: Iterable[Held], foreign: Iterable[int] = ()) -> str:
    """The same for the same slots in whatever order.

    ``foreign`` are channels in use that are nobody's: they make it another one.
    """
    lines = sorted(
        f"{uid} " + ",".join(sorted(map(_words, windows))) for uid, windows in slots if windows
    )
    lines += [f"foreign {number}" for number in sorted(foreign)]
    return sha256("\n".join(lines).encode()).hexdigest()[:8]


def digests_of(reservations: Iterable[NetworkReservation]) -> Mapping[str, str]:
    """By node, that of what its station is to hold; nodes without slots are left out."""
    by_node: dict[str, list[Held]] = {}
    for one in reservations:
        slots = by_node.setdefault(one.node, [])
        slots += [(one.owner.uid, grant.windows) for grant in one.slots]
    return {node: digest(slots) for node, slots in by_node.items()}


NOTHING = digest(())
"""Of a station without slots."""


def _words(window: Window) -> str:
    return f"{window.offset}/{window.phase}/{window.every}/{window.length}/{window.payload}"
