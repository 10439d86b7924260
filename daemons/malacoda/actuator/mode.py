"""K40S_CULPRIT: what may be done to a pod that causes a hazard. Both processes read it. Pure."""

from enum import StrEnum, unique

from k40s.assurance.response.acts import Step


@unique
class CulpritMode(StrEnum):
    """What becomes of the pod that causes a hazard; each includes the ones before it."""

    OFF = "off"
    NAME = "name"
    THROTTLE = "throttle"
    MOVE = "move"
    FREEZE = "freeze"
    EVICT = "evict"
    KILL = "kill"

    @property
    def steps(self) -> frozenset[Step]:
        """The steps that are allowed."""
        last = _LAST.get(self)
        return frozenset(step for step in Step if last is not None and step.rank <= last.rank)

    @property
    def acts(self) -> bool:
        """Whether anything is done to the pod."""
        return bool(self.steps)


_LAST = {
    CulpritMode.THROTTLE: Step.QUOTA,
    CulpritMode.MOVE: Step.MOVE,
    CulpritMode.FREEZE: Step.FREEZE,
    CulpritMode.EVICT: Step.EVICT,
    CulpritMode.KILL: Step.KILL,
}
