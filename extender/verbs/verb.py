"""The port that every verb implements, and the verbs that are served."""

from typing import NamedTuple, Protocol


class Verb(Protocol):
    """One call of kube-scheduler, of the controller or of insight. Any thread may call."""

    @property
    def name(self) -> str:
        """The last segment of its path, and its label in metrics."""

    def __call__(self, body: bytes) -> bytes:
        """Answers a request. Raises ``InvalidInputError`` if the reply has no field for it.

        ``UnavailableError`` where the same call may succeed later.
        """

    def fault(self, text: str) -> bytes | None:
        """The reply that reports a fault, or None if only a status can."""


class Verbs(NamedTuple):
    """The verbs that are served."""

    filter: Verb
    prioritize: Verb
    bind: Verb
    dry_run: Verb
    preempt: Verb
    preemption_plan: Verb
    explain: Verb
