"""The scheduler feature HRTICK_DL: switched on with the operator's permission, and restored.

Steps are ordered so that a process killed between any two of them leaves nothing behind that the
next one, or giving back, does not restore: the mark is made before the feature is switched on, and
removed after it is off.
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from daemons.rubicante.kernel.sched_features import HRTICK_DL, SchedFeatures
from daemons.rubicante.mechanisms.timer.marks import Marks
from k40s.errors import KernelError


@unique
class FeatureState(StrEnum):
    """The feature, as the kernel shows it."""

    ON = "on"
    OFF = "off"
    ABSENT = "absent"
    """This kernel has no such feature."""
    UNREADABLE = "unreadable"
    """Whether it is on is not known; it counts as off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hrtick:
    """What was found or reached; ``cause`` says why it is not as permitted or not as before."""

    state: FeatureState
    cause: str = ""


class HrtickFeature:
    """One daemon's part in it. ``permitted`` is the operator's permission to switch it on."""

    def __init__(self, *, features: SchedFeatures, marks: Marks, permitted: bool) -> None:
        self._features = features
        self._marks = marks
        self._permitted = permitted

    @property
    def permitted(self) -> bool:
        """Whether this daemon may switch it on."""
        return self._permitted

    def read(self) -> Hrtick:
        """As it is now."""
        try:
            is_on = self._features.is_on(HRTICK_DL)
        except KernelError as error:
            return Hrtick(state=FeatureState.UNREADABLE, cause=str(error))
        if is_on is None:
            cause = f"the kernel has no scheduler feature {HRTICK_DL}"
            return Hrtick(state=FeatureState.ABSENT, cause=cause)
        return Hrtick(state=FeatureState.ON if is_on else FeatureState.OFF)

    def is_marked(self) -> bool:
        """Whether this daemon counts on what k40s switched on."""
        return self._marks.is_set()

    def begin(self, *, in_use: bool) -> Hrtick:
        """Take part: switch it on where permitted, or restore what is not permitted any more.

        ``in_use`` says that reservations were admitted on it: they are never robbed of it.
        """
        found = self.read()
        match found.state:
            case FeatureState.ON:
                return self.join(in_use=in_use)
            case FeatureState.OFF if self._permitted:
                return self.switch_on()
            case FeatureState.OFF:
                return Hrtick(state=FeatureState.OFF, cause=self.put_back())
            case _:
                return found

    def switch_on(self) -> Hrtick:
        """Mark it and switch it on; what the kernel refuses is a cause."""
        try:
            self._marks.set()
        except KernelError as error:
            return self._refused(str(error))
        try:
            self._features.switch(HRTICK_DL, on=True)
        except KernelError as error:
            self.put_back()
            return self._refused(str(error))
        return Hrtick(state=FeatureState.ON)

    def join(self, *, in_use: bool) -> Hrtick:
        """Count on what is on: marked if k40s switched it on, and not if somebody else did."""
        is_ours, others = self._marks.is_set(), self._marks.others()
        if not (is_ours or others):
            return Hrtick(state=FeatureState.ON)
        if not (others or self._permitted or in_use):
            cause = self.put_back()
            return Hrtick(state=self.read().state, cause=cause)
        try:
            self._marks.set()
        except KernelError as error:
            return Hrtick(state=FeatureState.ON, cause=str(error))
        return Hrtick(state=FeatureState.ON)

    def put_back(self) -> str:
        """Restore the former state, unless others count on it; returns why not, if not."""
        if not self._marks.is_set():
            return ""
        try:
            if not self._marks.others() and self._features.is_on(HRTICK_DL):
                self._features.switch(HRTICK_DL, on=False)
            self._marks.clear()
        except KernelError as error:
            return f"{HRTICK_DL}, switched on by k40s, is not switched off: {error}"
        return ""

    def _refused(self, cause: str) -> Hrtick:
        return Hrtick(
            state=self.read().state,
            cause=f"K40S_HRTICK permits {HRTICK_DL}, and it could not be switched on: {cause}",
        )
