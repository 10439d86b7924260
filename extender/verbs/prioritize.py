"""Prioritize: a score from 0 to 10 for each candidate node."""

from collections.abc import Sequence
from operator import getitem

from extender.cache.assurance_tables import HIGHEST_SCORE
from extender.cache.nodes import NodeCache
from extender.cache.workloads import WorkloadCache
from extender.placement.node_scores import NodeScores
from extender.protocol import ParseArgs, encode


class Prioritize:
    """The verb ``prioritize``. Any thread may call; each call sees one snapshot."""

    name = "prioritize"

    def __init__(
        self,
        *,
        parse: ParseArgs,
        cache: NodeCache,
        workloads: WorkloadCache,
        scores: NodeScores,
    ) -> None:
        self._parse = parse
        self._cache = cache
        self._workloads = workloads
        self._scores = scores
        self._priorities = PriorityWriter()

    def __call__(self, body: bytes) -> bytes:
        """Answers ``HostPriorityList``. Raises ``InvalidInputError`` for an invalid body."""
        args = self._parse(body)  # often the same bytes that filter just got
        contract = self._workloads.read_pod(args.pod)
        workload = contract.workload
        if workload is None:
            return self._priorities.format(args.names, [0] * len(args.names))
        snapshot = self._cache.snapshot()
        scores = self._scores.score(snapshot, args.names, args.pod, contract, workload)
        return self._priorities.format(args.names, scores)

    def fault(self, text: str) -> None:
        """None: ``HostPriorityList`` has no field for errors, only a status."""


class PriorityWriter:
    """Writes ``HostPriorityList``, and caches the text of each (host, score)."""

    def __init__(self, *, highest: int = HIGHEST_SCORE, hosts: int = 20_000) -> None:
        self._scores = range(highest + 1)
        self._hosts = hosts
        self._written: dict[str, tuple[str, ...]] = {}

    def format(self, names: Sequence[str], scores: Sequence[int]) -> bytes:
        """Writes the score of each name, in the same order."""
        written = self._written
        try:
            known = list(map(written.__getitem__, names))
        except KeyError:
            self._write(names)
            return self.format(names, scores)
        return f"[{','.join(map(getitem, known, scores))}]".encode()

    def _write(self, names: Sequence[str]) -> None:
        kept = {} if len(self._written) + len(names) > self._hosts else dict(self._written)
        for name in names:
            head = f'{{"Host":{encode(name)},"Score":'
            kept[name] = tuple(f"{head}{score}}}" for score in self._scores)
        self._written = kept
