"""``k40s simulate``: what is seen when an admitted task set runs, exactly and repeatably."""

import json
from pathlib import Path

import click

from cli.ending import DOES_NOT_HOLD, HOLDS, one_line_errors
from k40s.units import Nanoseconds, parse_duration
from workbench.files import read_text, source_name
from workbench.plotting import check_path, plot_gantt
from workbench.problem import read_problem
from workbench.progress import Counter
from workbench.running import run_problem
from workbench.scenario import Behaviour
from workbench.simulation_report import format_report, report_json


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
@click.option("--window", type=Duration(), help="How much of it to draw.")
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
    was refused. 2: bad input. Simulation can show that a set misses, never that it does not.
    """
    behaviour = Behaviour(seed=seed, hogs=hogs, rogues=rogues, together=together)
    with one_line_errors():
        if plot is not None:
            check_path(plot)
        problem = read_problem(read_text(file), source=source_name(file))
        run = run_problem(problem, behaviour, duration, tick=tick, progress=Counter("simulating"))
        if as_json:
            click.echo(json.dumps(report_json(run.report) | {"refused": run.refused}, indent=2))
        else:
            for name in run.refused:
                click.echo(f"pod {name} was refused and does not run; k40s analyze says why")
            click.echo(format_report(run.report))
        if plot is not None:
            plot_gantt(run.report, plot, window=window)
    raise SystemExit(HOLDS if run.report.held and not run.refused else DOES_NOT_HOLD)
