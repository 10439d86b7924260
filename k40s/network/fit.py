"""Whether what a pod requires of its networks can be had on a node: all of it, or nothing."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from k40s.ledger.entry import Owner
from k40s.network.model import NetworkReservation, NetworkState, Requirement
from k40s.network.network_fit import NetworkFit, Places, find_reservation
from k40s.reasons import Reason

__all__ = [
    "HIGHEST_SCORE",
    "NetworkFit",
    "NetworksFit",
    "Places",
    "find_reservation",
    "find_reservations",
]

HIGHEST_SCORE = 100


class NetworksFit:
    """The answers of all networks that a pod requires, together or not at all."""

    def __init__(
        self,
        states: Mapping[str, NetworkState],
        owner: Owner,
        requirements: Sequence[Requirement],
        *,
        places: Places,
    ) -> None:
        names = dict.fromkeys(one.network for one in requirements)
        self._unknown = any(name not in states for name in names)
        self._fits = {
            name: NetworkFit(
                states[name],
                owner,
                [one for one in requirements if one.network == name],
                places=places,
            )
            for name in names
            if name in states
        }

    def at(self, node: str) -> Mapping[str, NetworkReservation] | Reason:
        """A reservation by network, or the first reason why there is none."""
        if self._unknown:
            return Reason.NETWORK_UNKNOWN
        found: dict[str, NetworkReservation] = {}
        for name, fit in self._fits.items():
            one = fit.at(node)
            if isinstance(one, Reason):
                return one
            found[name] = one
        return found

    def score(self, reservations: Mapping[str, NetworkReservation]) -> int:
        """0 to 100, which takes nothing from later requests, for reservations of ``at``."""
        taken = sum(
            (self._fits[name].damage(one) for name, one in reservations.items()), Fraction(0)
        )
        return HIGHEST_SCORE - math.ceil(min(taken, Fraction(1)) * HIGHEST_SCORE)


def find_reservations(
    states: Mapping[str, NetworkState],
    node: str,
    owner: Owner,
    requirements: Sequence[Requirement],
    *,
    places: Places,
) -> Mapping[str, NetworkReservation] | Reason:
    """The reservations by network that meet all requirements, or why one of them is not met."""
    return NetworksFit(states, owner, requirements, places=places).at(node)
