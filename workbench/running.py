"""From a task-set file to its simulation: what ``k40s simulate`` does."""

from dataclasses import dataclass, replace

from k40s.units import Nanoseconds
from workbench.admitting import admit_in_order
from workbench.classic import Analysis
from workbench.judging import judge
from workbench.node_scenario import plan_node
from workbench.plain_set import PlainSet, Scheduling
from workbench.problem import Problem
from workbench.scenario import Behaviour, DomainPlan, UnsuitableScenarioError, plan_set
from workbench.simulating import Progress, SimulationReport, simulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``refused`` are the pods that were not admitted, and so do not run."""

    report: SimulationReport
    refused: list[str]


def run_problem(
    problem: Problem,
    behaviour: Behaviour,
    duration: Nanoseconds,
    *,
    tick: Nanoseconds | None,
    progress: Progress,
) -> Run:
    """Admit, then simulate what was admitted; a bare task set runs whatever its verdict is.

    ``tick`` None is the file's own. Raises ``UnsuitableScenarioError``.
    """
    if isinstance(problem, PlainSet):
        if tick is not None:
            problem = replace(problem, tick=tick)
        judged = judge(problem, _judged_by(problem))
        plans: tuple[DomainPlan, ...] = (plan_set(problem, judged, behaviour),)
        refused: list[str] = []
    else:
        admitted = admit_in_order(problem.node, problem.pods)
        plans = plan_node(admitted.node, admitted.bounds, behaviour, tick)
        refused = [step.pod.name for step in admitted.steps if step.rejection is not None]
        if not plans:
            raise UnsuitableScenarioError("nothing was admitted, so nothing runs")
    report = simulate(plans, duration, seed=behaviour.seed, progress=progress)
    return Run(report=report, refused=refused)


def _judged_by(given: PlainSet) -> Analysis:
    if given.scheduling is Scheduling.EDF:
        raise UnsuitableScenarioError(
            "bare task sets are simulated under fixed priorities only (scheduling: fp)"
        )
    if any(task.jitter or task.blocking for task in given.tasks):
        raise UnsuitableScenarioError("release jitter and blocking are not simulated")
    return Analysis.FIXED_PRIORITY if given.server is None else Analysis.HIERARCHICAL
