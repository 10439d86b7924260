"""``k40s simulate``: exact, repeatable simulation of an admitted task set."""

import json
from pathlib import Path

import click

from cli.exit_status import (
    DOES_NOT_HOLD,
    HOLDS,
    NOT_JUDGED,
    UnsuitableOptionsError,
    one_line_errors,
)
from k40s.units import Nanoseconds, parse_duration
from workbench.inputs.files import read_text, source_name
from workbench.inputs.task_set_file import read_task_set_file
from workbench.plots.files import check_path, plot_gantt
from workbench.progress import Counter
from workbench.reports.simulation import format_report, report_json
from workbench.simulate import Run, simulate_task_set
from workbench.simulation.scenario import Behaviour


class Duration(click.ParamType[Nanoseconds]):
    """A duration with its unit; a bare number is refused."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Nanoseconds:
        """Read ``"2s"``."""
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--for", "duration", type=Duration(), default="2s", show_default=True)
@click.option(
    "--tick", type=Duration(), help="Enforce at such ticks; 0ms exactly. Else as in FILE."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="For phases.")
@click.option("--together", is_flag=True, help="Let all tasks arrive first at time 0.")
@click.option("--hogs", is_flag=True, help="Burn what is left of every budget.")
@click.option(
    "--rogue",
    "rogues",
    multiple=True,
    metavar="POD/CONTAINER",
    help="Let this container never stop running; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw what ran when.")
@click.option("--window", type=Duration(), help="How much of it to draw, for --plot.")
def simulate(
    *,
    file: str,
    duration: Nanoseconds,
    tick: Nanoseconds | None,
    seed: int,
    together: bool,
    hogs: bool,
    rogues: tuple[str, ...],
    as_json: bool,
    plot: Path | None,
    window: Nanoseconds | None,
) -> None:
    """Run what analyze admits of FILE in exact simulation, and compare it with its bounds.

    Every job takes its full WCET. Status 0: no deadline was missed. 1: one was, or a pod of FILE
    was refused. 2: bad input. 3: no job ended. Simulation can show that a set misses, never that
    it does not.
    """
    behaviour = Behaviour(seed=seed, hogs=hogs, rogues=rogues, together=together)
    with one_line_errors():
        _check(duration, plot, window)
        task_set = read_task_set_file(read_text(file), source=source_name(file))
        run = simulate_task_set(
            task_set, behaviour, duration, tick=tick, progress=Counter("simulating")
        )
        if hogs and not run.hogs:
            raise UnsuitableOptionsError(
                "--hogs burns budgets, and no container has one that it may burn: tasks are held "
                "by containment or SCHED_DEADLINE, or beside a rogue"
            )
        if plot is not None:
            plot_gantt(run.report, plot, window=window)
        if as_json:
            click.echo(json.dumps(report_json(run.report) | {"refused": run.refused}, indent=2))
        else:
            for name in run.refused:
                click.echo(f"pod {name} was refused and does not run; k40s analyze says why")
            click.echo(format_report(run.report))
    raise SystemExit(_status(run))


def _check(duration: Nanoseconds, plot: Path | None, window: Nanoseconds | None) -> None:
    """Refuse options without effect, before anything is read."""
    if duration == 0:
        raise UnsuitableOptionsError("--for: found 0, expected a duration above zero")
    if window is not None and plot is None:
        raise UnsuitableOptionsError("--window says how much --plot draws: give --plot too")
    if window == 0:
        raise UnsuitableOptionsError("--window: found 0, expected a duration above zero")
    if plot is not None:
        check_path(plot)


def _status(run: Run) -> int:
    if run.refused or not run.report.held:
        return DOES_NOT_HOLD
    return HOLDS if run.report.judged else NOT_JUDGED
