"""A sampler none of whose samples waits, however quiet the node."""

from daemons.malacoda.sampling.sampler import Look, Sampler


class CloseLook:
    """Implements ``CounterSource``."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    @property
    def faults(self) -> dict[str, int]:
        """The sampler's."""
        return self._sampler.faults

    def look(self, *, closely: bool) -> Look:
        """One sample."""
        del closely
        return self._sampler.look(closely=True)
