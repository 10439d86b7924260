"""Explain: why a pod fits or not, node by node, with figures and changes that were tried.

For insight, which serves it to people. The verdicts are filter's own, as in a dry run; nothing is
counted or kept. One explanation is made at a time and one call waits for it at most, so that people
never take the threads that answer the scheduler.
"""

import threading

from extender.cache.workloads import WorkloadCache
from extender.explanation.explainer import Explainer
from extender.protocol import ParseArgs
from k40s.errors import UnavailableError
from k40s.explanation.json import format_explanation
from k40s.units import NS_PER_S, Nanoseconds

_MOST_CALLS = 2
"""The one that is answered, and the one that waits."""


class Explain:
    """The verb ``explain``. Any thread may call; each call sees one snapshot."""

    name = "explain"

    def __init__(
        self,
        *,
        parse: ParseArgs,
        workloads: WorkloadCache,
        explainer: Explainer,
        patience: Nanoseconds,
    ) -> None:
        """``patience`` bounds the wait for another explanation to end."""
        self._parse = parse
        self._workloads = workloads
        self._explainer = explainer
        self._patience = patience / NS_PER_S
        self._one = threading.Lock()
        self._calls = threading.BoundedSemaphore(_MOST_CALLS)

    def __call__(self, body: bytes) -> bytes:
        """Answers an explanation. Raises ``InvalidInputError`` for an invalid body.

        ``UnavailableError`` where another explanation takes too long. Without node names, all
        nodes are explained.
        """
        if not self._calls.acquire(blocking=False):
            raise UnavailableError("others wait for another explanation; try again")
        try:
            return self._explain(body)
        finally:
            self._calls.release()

    def _explain(self, body: bytes) -> bytes:
        args = self._parse(body)
        contract = self._workloads.read_pod(args.pod)  # as of a new pod
        if not self._one.acquire(timeout=self._patience):
            raise UnavailableError("another explanation is being made; try again")
        try:
            found = self._explainer.explain(args.pod, args.names, contract)
        finally:
            self._one.release()
        return format_explanation(found).encode()

    def fault(self, text: str) -> None:
        """None: an explanation has no field for errors, only a status."""
