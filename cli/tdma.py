"""``k40s tdma``: slots of TDMA networks."""

import json
from pathlib import Path

import click

from cli.exit_status import DOES_NOT_HOLD, HOLDS, one_line_errors
from workbench.inputs.files import read_text, source_name
from workbench.plan_slots import plan_file
from workbench.plots.files import check_path, plot_slots
from workbench.reports.slot_plan import format_report
from workbench.reports.slot_plan_json import report_json


@click.group()
def tdma() -> None:
    """Plan the slots of a TDMA network."""


@tdma.command()
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the cycles.")
def plan(*, file: str, as_json: bool, plot: Path | None) -> None:
    """Find slots for requests, and show the cycle with what is taken and free.

    FILE is YAML or JSON: members and tdma as in a Network's spec, and requests; or a Network object
    as kubectl prints it, whose reservations count, and requests in another document. "-" is
    standard input. Status 0: everything fits. 1: something does not. 2: bad input.
    """
    with one_line_errors():
        if plot is not None:
            check_path(plot)
        report = plan_file(read_text(file), source=source_name(file))
        if plot is not None:
            plot_slots(report, plot)
        text = json.dumps(report_json(report), indent=2) if as_json else format_report(report)
        click.echo(text)
    raise SystemExit(HOLDS if report.fits else DOES_NOT_HOLD)
