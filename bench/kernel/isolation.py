"""Temporal isolation: one task overruns its WCET; how late is a task beside it?

    python -m bench.kernel.isolation [SECONDS [DIRECTORY]]

Two pods on CPU 1: a victim that keeps its contract, and above it a neighbour that burns one to
five times its WCET in each job, and at last never sleeps. Three times: SCHED_FIFO without budgets
(a stock kernel), and held to what admission grants by rt-cgroups and by SCHED_DEADLINE. Prints the
victim's response times and what the hypervisor stole meanwhile; draws them into DIRECTORY.
Needs root, real-time groups and cpusets of cgroup v1. Load balancing of the machine is off for
the partition of SCHED_DEADLINE, and is put back.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import ContainerDemand, CpuNode, Mechanism, PodDemand, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds
from tests.fakes.rubicante.world import uid
from tests.kernel.conftest import CORE, CPU, make_kubepods
from tests.kernel.deadline_scene import PREFIX, alone, balance_kept, put_back
from tests.kernel.soundness_nodes import Kind, empty_node
from tests.kernel.soundness_run import LEAD, MARGIN
from tests.kernel.soundness_stage import Worker, set_stage
from tests.kernel.steal_log import STEAL_UNIT, StealLog
from workbench.analysis.bounds import bounds_of

_SECONDS = 5.0
_TRIES = 3
_FACTORS = (1, 2, 3, 4, 5)
_ENDLESS = 6
_PERIOD = Nanoseconds(100 * NS_PER_MS)
_VICTIM = Task(name="victim", wcet=Nanoseconds(10 * NS_PER_MS), period=_PERIOD, deadline=_PERIOD)
_NEIGHBOUR = Task(
    name="neighbour",
    wcet=Nanoseconds(20 * NS_PER_MS),
    period=_PERIOD,
    deadline=Nanoseconds(80 * NS_PER_MS),
)
_STOCK = "SCHED_FIFO without budgets"
_CURVES = {
    _STOCK: None,
    "rt-cgroup": Kind.RT_CGROUP,
    "SCHED_DEADLINE": Kind.PARTITIONED,
}


@dataclass(frozen=True)
class Point:
    """The victim's response times in ms beside one factor; ``steal`` in seconds of CPU 1.

    ``clean`` are those of jobs while which no steal was recorded.
    """

    responses: Sequence[float]
    clean: Sequence[float]
    steal: float

    def quantile(self, share: float) -> float:
        ordered = sorted(self.clean or self.responses)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images")
    print(f"victim 10 ms of CPU time in 100 ms, neighbour 20 ms in 100 ms; {seconds:g} s a point")
    print(
        f"{'victim, ms':28}{'overrun':>9}{'jobs':>6}{'median':>9}{'p95':>9}{'max':>9}"
        f"{'late':>6}{'stolen, s':>11}"
    )
    curves: dict[str, list[Point]] = {}
    bounds: dict[str, float] = {}
    for name, kind in _CURVES.items():
        curves[name] = []
        with _held(kind) as (workers, bound):
            bounds[name] = bound
            for factor in (*_FACTORS, _ENDLESS):
                point = _measure(workers, factor, seconds)
                curves[name].append(point)
                _show(name, factor, point)
    _draw(curves, bounds, folder / "isolation.svg")


@contextmanager
def _held(kind: Kind | None) -> Iterator[tuple[Mapping[str, Worker], float]]:
    """Both threads under one mechanism; the bound of the victim's response time in ms."""
    with ExitStack() as undo:
        undo.enter_context(alone())
        undo.enter_context(balance_kept())
        if kind is None:
            yield _unbounded(undo), float("inf")
            return
        directory = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        kubepods = make_kubepods(PREFIX, undo)
        undo.callback(put_back, directory / "memory.json")
        stage = set_stage(undo, kubepods, directory, kind, PREFIX)
        node = _admitted(kind)
        workers = {task.name: worker for (_, task), worker in stage.hold(node, undo).items()}
        bound = next(
            task.response
            for server in bounds_of(node)
            for task in server.tasks
            if task.task == _VICTIM
        )
        yield workers, (bound or _PERIOD) / NS_PER_MS


def _unbounded(undo: ExitStack) -> dict[str, Worker]:
    workers = {}
    for priority, task in ((96, _VICTIM), (97, _NEIGHBOUR)):
        worker = Worker(CPU, task.name)
        undo.callback(worker.end)
        os.sched_setaffinity(worker.tid, {CORE})
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(worker.tid, policy, os.sched_param(priority))
        workers[task.name] = worker
    return workers


def _admitted(kind: Kind) -> CpuNode:
    mechanism = Mechanism.RT_CGROUP if kind is Kind.RT_CGROUP else Mechanism.DEADLINE
    node = empty_node(kind)
    for number, task in enumerate((_NEIGHBOUR, _VICTIM), 1):
        outcome = admit(
            node,
            PodDemand(
                pod_uid=uid(number),
                criticality=Criticality.HI,
                containers=(ContainerDemand(container="main", tasks=(task,)),),
                mechanism=mechanism,
            ),
        )
        if not isinstance(outcome, Admission):
            raise SystemExit(f"not admitted: {outcome}")
        node = outcome.node
    return node


def _measure(workers: Mapping[str, Worker], factor: int, seconds: float) -> Point:
    for _ in range(_TRIES):
        point, rivals = _run(workers, factor, seconds)
        if not rivals:
            break
        print(f"    again: real-time threads of others in {', '.join(sorted(rivals))}")
    return point


def _run(workers: Mapping[str, Worker], factor: int, seconds: float) -> tuple[Point, set[str]]:
    start = time.monotonic_ns() + LEAD
    end = start + round(seconds * NS_PER_S)
    plans = {
        _VICTIM.name: ("obey", _VICTIM.wcet - MARGIN),
        _NEIGHBOUR.name: (
            "rogue" if factor == _ENDLESS else "obey",
            factor * _NEIGHBOUR.wcet - MARGIN,
        ),
    }
    with StealLog([CORE], PREFIX) as steal:
        for name, (role, burn) in plans.items():
            plan = {"start": start, "end": end, "burn": burn, "period": _PERIOD}
            plan |= {"seed": 1, "gaps": False}
            workers[name].say(f"{role} {json.dumps(plan)}")
        jobs = {name: json.loads(workers[name].hear())["jobs"] for name in plans}[_VICTIM.name]
        time.sleep(0.3)
    found = [
        (response / 1000, steal.between(release - _PERIOD, release + round(response * NS_PER_US)))
        for release, response, _ in jobs
    ]
    clean = [response for response, stolen in found if stolen < STEAL_UNIT]
    point = Point(responses=[r for r, _ in found], clean=clean, steal=steal.total())
    return point, steal.rivals


def _show(name: str, factor: int, point: Point) -> None:
    late = sum(response > _PERIOD / NS_PER_MS for response in point.responses)
    overrun = "endless" if factor == _ENDLESS else f"{factor} x"
    print(
        f"{name:28}{overrun:>9}{len(point.responses):6}"
        f"{point.quantile(0.5):9.1f}{point.quantile(0.95):9.1f}{max(point.responses):9.1f}"
        f"{late:6}{point.steal:11.2f}",
        flush=True,
    )


def _draw(curves: Mapping[str, Sequence[Point]], bounds: Mapping[str, float], path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415  # an extra, needed for the picture alone
    from matplotlib import pyplot as plt  # noqa: PLC0415  # the same

    mpl.use("svg")
    with mpl.rc_context({"svg.hashsalt": "k40s", "svg.fonttype": "none", "font.size": 8}):
        figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        factors = [*_FACTORS, _ENDLESS]
        for (name, points), marker in zip(curves.items(), "sod", strict=True):
            line = axes.plot(
                factors, [p.quantile(0.95) for p in points], marker, ls="-", label=name
            )
            if bounds[name] < _PERIOD / NS_PER_MS:
                axes.axhline(bounds[name], color=line[0].get_color(), ls=":", lw=1)
        axes.axhline(_PERIOD / NS_PER_MS, color="grey", ls="--", lw=1)
        axes.annotate("deadline", (1, _PERIOD / NS_PER_MS), (0, 2), textcoords="offset points")
        axes.set_yscale("log")
        axes.set_xticks(factors, [*(f"{f} ×" for f in _FACTORS), "endless"])
        axes.set_xlabel("the neighbour's job, in multiples of its WCET")
        axes.set_ylabel("response time of the victim, ms (95 % of jobs)")
        axes.legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
