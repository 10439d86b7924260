"""Prioritize: a score from 0 to 10 for each candidate node."""

from collections.abc import Mapping, Sequence
from operator import getitem

from extender.cache.assurance_tables import HIGHEST_SCORE
from extender.cache.nodes import NodeCache
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract, WorkloadCache
from extender.placement.candidates import split_by_assurance
from extender.placement.network_admission import NetworkAdmission
from extender.placement.real_time import RealTimeAdmission
from extender.placement.score import score_damage, score_nodes
from extender.protocol import ExtenderArgs, ParseArgs, encode
from k40s.cpu.workload import Workload
from k40s.node_api.messages import PodRef


class Prioritize:
    """The verb ``prioritize``. Any thread may call; each call sees one snapshot."""

    name = "prioritize"

    def __init__(
        self,
        *,
        parse: ParseArgs,
        cache: NodeCache,
        workloads: WorkloadCache,
        admission: RealTimeAdmission,
        networks: NetworkAdmission,
    ) -> None:
        self._parse = parse
        self._cache = cache
        self._workloads = workloads
        self._admission = admission
        self._networks = networks
        self._priorities = PriorityWriter()

    def __call__(self, body: bytes) -> bytes:
        """Answers ``HostPriorityList``. Raises ``InvalidInputError`` for an invalid body."""
        args = self._parse(body)  # often the same bytes that filter just got
        contract = self._workloads.read_pod(args.pod)
        workload = contract.workload
        if workload is None:
            return self._priorities.format(args.names, [0] * len(args.names))
        snapshot = self._cache.snapshot()
        remaining: Mapping[str, float] | None = None
        if workload.is_real_time:
            remaining = self._remaining(args, contract, workload, snapshot)
        scores = score_nodes(
            snapshot, args.names, criticality=workload.criticality, remaining=remaining
        )
        if contract.requirements:
            scores = score_damage(args.names, scores, self._damages(args, contract, snapshot))
        return self._priorities.format(args.names, scores)

    def fault(self, text: str) -> None:
        """None: ``HostPriorityList`` has no field for errors, only a status."""

    def _remaining(
        self, args: ExtenderArgs, contract: Contract, workload: Workload, snapshot: Snapshot
    ) -> Mapping[str, float]:
        split = split_by_assurance(snapshot, args.names, workload.criticality)
        pod = PodRef(uid=args.pod.uid, namespace=args.pod.namespace, name=args.pod.name)
        verdicts = self._admission.verdicts(snapshot, split.fit, pod, contract, workload)
        return {
            name: verdict.remaining for name, verdict in verdicts.items() if verdict.reason is None
        }

    def _damages(
        self, args: ExtenderArgs, contract: Contract, snapshot: Snapshot
    ) -> Mapping[str, float]:
        """What the pod would take of its networks, by node that has it."""
        verdicts = self._networks.verdicts(
            snapshot, args.names, args.pod.uid, contract.requirements
        )
        return {name: found.damage for name, found in verdicts.items() if found.reason is None}


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
