"""Maps failures of a request to reasons."""

from k40s.errors import KernelError, UnavailableError, UnreadableError
from k40s.reasons import Reason
from k40s.runtime.store import StoreError


class StartingError(UnavailableError):
    """The node or its pods are not known yet."""


class CutOffError(UnavailableError):
    """The API server is unavailable, so the pod cannot be looked up."""


def reason_of(error: KernelError | UnavailableError) -> Reason:
    """The reason of a failure."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    return Reason.CPU_DAEMON_FAILED


_REASONS: dict[type[Exception], Reason] = {
    KernelError: Reason.CPU_KERNEL_FAILED,
    StoreError: Reason.CPU_STORE_FAILED,
    StartingError: Reason.CPU_DAEMON_STARTING,
    CutOffError: Reason.CPU_DAEMON_CUT_OFF,
    UnreadableError: Reason.POD_UNREADABLE,
}
