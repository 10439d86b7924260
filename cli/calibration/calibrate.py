"""``k40s calibrate``: a machine's identity and speed."""

import json
from pathlib import Path

import click

from cli.calibration.assurance import assurance
from cli.exit_status import UnsuitableOptionsError, one_line_errors
from k40s.errors import InvalidInputError
from workbench.calibrate import (
    Calibration,
    calibration_json,
    format_calibration,
    interpreter,
    measure_machine,
)
from workbench.calibration import speed
from workbench.calibration.factor import compare
from workbench.calibration.speed_run import SpeedRun, check_comparable, read_run, run_json
from workbench.inputs.files import read_text, source_name
from workbench.progress import Counter


@click.group()
def calibrate() -> None:
    """Measure a machine: its speed, and what shows that its real-time tasks are harmed."""


calibrate.add_command(assurance)


@calibrate.command()
@click.option("--save", type=click.Path(path_type=Path), help="Write the run to this file.")
@click.option("--reference", metavar="FILE", help="A run saved on the reference machine.")
@click.option("--node", default="NODE", help="The node's name, for the commands printed.")
@click.option("--core", type=click.IntRange(0), help="Which core to measure; default: the last.")
@click.option(
    "--repetitions",
    type=click.IntRange(20, 10_000),
    default=200,
    show_default=True,
    help="How often each piece of work is run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def platform(
    *,
    save: Path | None,
    reference: str | None,
    node: str,
    core: int | None,
    repetitions: int,
    as_json: bool,
) -> None:
    """Measure this machine's identity and speed, and print the labels to set on its node.

    Run it with --save on the reference machine, on which baselines are measured, and with
    --reference FILE on each node; both times while nothing else runs. The factor that comes out
    is for LOW workloads only.
    """
    with one_line_errors():
        if save is not None and not save.parent.is_dir():
            raise UnsuitableOptionsError(f"--save: no directory {save.parent} to write into")
        there = _reference(reference)
        run = measure_machine(
            root=Path("/"),
            repetitions=repetitions,
            core=_core(core),
            progress=Counter("measuring"),
        )
        found = Calibration(run=run, comparison=compare(run, there) if there else None, node=node)
        if save is not None:
            save.write_text(json.dumps(run_json(run), indent=2) + "\n", encoding="utf-8")
        as_object = calibration_json(found)
        click.echo(json.dumps(as_object, indent=2) if as_json else format_calibration(found))


def _core(wanted: int | None) -> int:
    allowed = speed.allowed_cores()
    if wanted is None:
        return allowed[-1]
    if wanted not in allowed:
        raise InvalidInputError(
            source="--core",
            path="$",
            found=wanted,
            expected=f"one that this process may use: {', '.join(map(str, allowed))}",
        )
    return wanted


def _reference(path: str | None) -> SpeedRun | None:
    if path is None:
        return None
    there = read_run(read_text(path), source=source_name(path))
    check_comparable(there, interpreter=interpreter(), source=source_name(path))
    return there
