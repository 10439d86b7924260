"""K40S_CULPRIT: what may be done to a pod that causes a hazard. Both processes read it. Pure."""

from enum import StrEnum, unique

from k40s.assurance.response.acts import Step


@unique
class CulpritMode(StrEnum):
    """What becomes of the pod that causes a hazard; each includes the ones before it."""

    OFF = "off"
    NAME = "name"
    THROTTLE = "throttle"
    FREEZE = "freeze"

    @property
    def steps(self) -> frozenset[Step]:
        """The steps that are allowed."""
        return {
            CulpritMode.THROTTLE: frozenset({Step.QUOTA}),
            CulpritMode.FREEZE: frozenset({Step.QUOTA, Step.FREEZE}),
        }.get(self, frozenset())

    @property
    def acts(self) -> bool:
        """Whether anything is done to the pod."""
        return bool(self.steps)
