"""The one sentence that refuses a pod whose annotations are invalid.

Extender and webhook say it alike: in the event of a pod that is stored, or at ``kubectl apply``.
"""

from k40s.errors import InvalidAnnotationError
from k40s.reasons import Reason

MAX_REFUSAL = 400
"""Longest text, in characters; kube-scheduler repeats it in the pod's event."""


def invalid_pod_text(error: InvalidAnnotationError) -> str:
    """The reason's code, the key, the place in its value, what was found and what is expected."""
    return f"{Reason.POD_INVALID.value}: {error}"[:MAX_REFUSAL]
