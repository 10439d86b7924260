"""``k40s simulate``: from a task-set file to the simulation of what is admitted of it."""

from dataclasses import dataclass, replace

from k40s.units import NS_PER_US, Nanoseconds
from workbench.analysis.admission import admit_in_order
from workbench.analysis.classic import Analysis
from workbench.analysis.schedulability import analyze_task_set
from workbench.inputs.bare_task_set import BareTaskSet, Scheduling
from workbench.inputs.task_set_file import TaskSetFile
from workbench.progress import Progress
from workbench.simulation.node_scenario import plan_node
from workbench.simulation.run import SimulationReport, simulate
from workbench.simulation.scenario import (
    HOG,
    Behaviour,
    DomainPlan,
    UnsuitableScenarioError,
    plan_set,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``refused`` are the pods that were not admitted, and so do not run; ``hogs`` counts hogs."""

    report: SimulationReport
    refused: list[str]
    hogs: int


def simulate_task_set(
    task_set: TaskSetFile,
    behaviour: Behaviour,
    duration: Nanoseconds,
    *,
    tick: Nanoseconds | None,
    progress: Progress,
) -> Run:
    """Admit, then simulate what was admitted; a bare task set is simulated even if unschedulable.

    ``tick`` None is the file's own. Raises ``UnsuitableScenarioError``.
    """
    if isinstance(task_set, BareTaskSet):
        _check_bare(task_set, behaviour, tick)
        if tick is not None:
            task_set = replace(task_set, tick=tick)
        judged = analyze_task_set(task_set, _supported_test(task_set))
        plans: tuple[DomainPlan, ...] = (plan_set(task_set, judged, behaviour),)
        refused: list[str] = []
    else:
        if duration % NS_PER_US or (tick or 0) % NS_PER_US:
            raise UnsuitableScenarioError(
                "pods are simulated in whole microseconds: --for and --tick take no parts of one"
            )
        admitted = admit_in_order(task_set.node, task_set.pods)
        plans = plan_node(admitted.node, admitted.bounds, behaviour, tick)
        refused = [step.pod.name for step in admitted.steps if step.rejection is not None]
        if not plans:
            raise UnsuitableScenarioError("nothing was admitted, so nothing runs")
    report = simulate(plans, duration, seed=behaviour.seed, progress=progress)
    return Run(report=report, refused=refused, hogs=sum(map(_hogs, plans)))


def _check_bare(given: BareTaskSet, behaviour: Behaviour, tick: Nanoseconds | None) -> None:
    """Refuse options that have no effect on a bare task set."""
    if given.server is None and (behaviour.hogs or tick is not None):
        option = "--hogs burns" if behaviour.hogs else "--tick enforces"
        raise UnsuitableScenarioError(
            f"{option} budgets, and the bare task set has none: give the field server, or leave it"
        )
    if given.server is None and behaviour.together and behaviour.seed:
        raise UnsuitableScenarioError(
            "--seed draws first arrivals, and --together lets all arrive at once: give one of them"
        )


def _hogs(plan: DomainPlan) -> int:
    return sum(
        task.name == HOG for core in plan.cores for server in core.servers for task in server.tasks
    )


def _supported_test(given: BareTaskSet) -> Analysis:
    if given.scheduling is Scheduling.EDF:
        raise UnsuitableScenarioError(
            "bare task sets are simulated under fixed priorities only (scheduling: fp)"
        )
    if any(task.jitter or task.blocking for task in given.tasks):
        raise UnsuitableScenarioError("release jitter and blocking are not simulated")
    return Analysis.FIXED_PRIORITY if given.server is None else Analysis.HIERARCHICAL
