"""Watched Networks, each with the reservations that count."""

from collections.abc import Callable, Container
from dataclasses import replace

from extender.cache.ledgers import GONE, LedgerTable
from k40s.network.model import NetworkState


class NetworkTable(LedgerTable[NetworkState]):
    """The Networks of the cluster."""

    def __init__(self, *, on_change: Callable[[], None], gone: int = GONE) -> None:
        super().__init__(without=_without, on_change=on_change, gone=gone)


def _without(state: NetworkState, uids: Container[str]) -> NetworkState:
    kept = tuple(held for held in state.reservations if held.owner.uid not in uids)
    return replace(state, reservations=kept)
