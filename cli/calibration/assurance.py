"""``k40s calibrate assurance``: the paper's experiment, and the profile that comes out."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict, Unpack

import click
from click.core import ParameterSource

from cli.exit_status import UnsuitableOptionsError, one_line_errors
from k40s.assurance.profile import PROFILE_NAME, PROFILE_NAME_FORM
from k40s.errors import InvalidInputError
from k40s.units import CPU_LIST_FORM, parse_cpu_list
from workbench.calibrate_assurance import Result, evaluate, write_results
from workbench.calibration.assurance.judgement.report import (
    effects_csv,
    findings_json,
    format_findings,
)
from workbench.calibration.assurance.measurement.conduct import Conduct, conduct
from workbench.calibration.assurance.plan.errors import StoppedError
from workbench.calibration.assurance.plan.experiment import (
    LEAST_SECONDS,
    MOST_REPETITIONS,
    MOST_SECONDS,
    MOST_STRESSORS,
    PAPER,
    QUICK,
    Experiment,
    Policy,
    Stress,
)
from workbench.calibration.assurance.plan.store import find_setting
from workbench.plots.files import check_drawable
from workbench.progress import Counter

STOPPED = 130
"""As a shell reports a program that Ctrl-C has ended."""
_PLAN = (
    *("quick", "policy", "stress", "stressors", "repetitions", "cpus", "cooldown"),
    *("stress_time", "ns_per_loop"),
)
"""Options that say what is measured."""
_SECONDS = click.IntRange(LEAST_SECONDS, MOST_SECONDS)


class _Plan(TypedDict):
    """The options of the experiment's plan; None and () where they are not given."""

    quick: bool
    policy: tuple[str, ...]
    stress: tuple[str, ...]
    stressors: tuple[int, ...]
    repetitions: int | None
    cooldown: int | None
    stress_time: int | None
    cpus: str | None


@click.command()
@click.option(
    "--out",
    metavar="DIRECTORY",
    type=click.Path(file_okay=False, path_type=Path),
    help="Measure, and record here; an experiment that was stopped is continued.",
)
@click.option(
    "--from",
    "source",
    metavar="DIRECTORY",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure nothing: score again what is recorded here.",
)
@click.option("--quick", is_flag=True, help="Three minutes for each policy: 16 stressors, once.")
@click.option(
    "--policy",
    multiple=True,
    type=click.Choice([each.value for each in Policy]),
    help="One of the policies; default all.",
)
@click.option(
    "--stress",
    multiple=True,
    type=click.Choice([each.value for each in Stress]),
    help="One of the classes; default all.",
)
@click.option(
    "--stressors",
    multiple=True,
    type=click.IntRange(1, MOST_STRESSORS),
    help="How many of each kind; default 1, 2, 4, 8 and 16.",
)
@click.option("--repetitions", type=click.IntRange(1, MOST_REPETITIONS), help="Default 4.")
@click.option("--cooldown", type=_SECONDS, help="Seconds before each stress; default 120.")
@click.option("--stress-time", type=_SECONDS, help="Seconds of each stress; default 60.")
@click.option(
    "--cpus", metavar="LIST", help="The node's CPUs; default all. The task runs on the last."
)
@click.option(
    "--ns-per-loop",
    type=click.IntRange(1, 100_000),
    help="rt-app's calibration (pLoad), if it is known; default: measured.",
)
@click.option("--name", metavar="NAME", help="The profile's name; default: the kernel's release.")
@click.option("--plot", type=click.Choice(["svg", "png"]), help="Draw the figures, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the effects as CSV.")
@click.pass_context
def assurance(
    context: click.Context,
    /,
    *,
    out: Path | None,
    source: Path | None,
    name: str | None,
    plot: str | None,
    as_json: bool,
    as_csv: bool,
    ns_per_loop: int | None,
    **plan: Unpack[_Plan],
) -> None:
    """Find the metrics that show on this node that a task is being harmed, and write a profile.

    A periodic task (rt-app, 1.9 ms in 10 ms) runs beside each class of stress (stress-ng), while
    malacoda's metrics are sampled. Needs root and a node that does nothing else. Ctrl-C stops it;
    the same command continues.
    """
    with one_line_errors():
        given = [
            option
            for option in _PLAN
            if context.get_parameter_source(option) is ParameterSource.COMMANDLINE
        ]
        directory = _check(out, source, given, name=name, both=as_json and as_csv)
        if plot is not None:
            check_drawable()
        if out is not None:
            found = None if given else find_setting(out)
            experiment = _experiment(plan) if found is None else found.experiment
            _measure(experiment, out, ns_per_loop)
        result = evaluate(directory, name=name, at=datetime.now(UTC).replace(microsecond=0))
        files = write_results(result, directory, pictures=plot)
    click.echo(_shown(result, as_json=as_json, as_csv=as_csv), nl=not as_csv)
    if not (as_json or as_csv):
        click.echo(f"\nwritten: {', '.join(str(path) for path in files)}")


def _check(
    out: Path | None, source: Path | None, given: list[str], *, name: str | None, both: bool
) -> Path:
    """The directory of the experiment; options that do not fit together are refused."""
    if (out is None) == (source is None):
        raise UnsuitableOptionsError(
            "give --out DIRECTORY to measure, or --from DIRECTORY to score what is recorded there"
        )
    if source is not None and given:
        option = given[0].replace("_", "-")
        raise UnsuitableOptionsError(f"--{option} is for a measurement: --from measures nothing")
    if both:
        raise UnsuitableOptionsError("--json and --csv exclude each other")
    if name is not None and PROFILE_NAME.fullmatch(name) is None:
        raise InvalidInputError(source="--name", path="$", found=name, expected=PROFILE_NAME_FORM)
    directory = out or source
    assert directory is not None  # noqa: S101  # one of them is given
    return directory


def _experiment(plan: _Plan) -> Experiment:
    """The plan that the options make: the paper's or the quick one, with what was given."""
    base = QUICK if plan["quick"] else PAPER
    return Experiment(
        cpus=_cpus(plan["cpus"]),
        policies=tuple(each for each in Policy if each in plan["policy"]) or tuple(Policy),
        stresses=tuple(each for each in Stress if each in plan["stress"]) or tuple(Stress),
        stressors=tuple(sorted(set(plan["stressors"]))) or base.stressors,
        repetitions=plan["repetitions"] or base.repetitions,
        cooldown=plan["cooldown"] or base.cooldown,
        stress_time=plan["stress_time"] or base.stress_time,
    )


def _cpus(text: str | None) -> tuple[int, ...]:
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    if text is None:
        return allowed
    try:
        cpus = parse_cpu_list(text)
    except ValueError:
        cpus = ()
    if not cpus or not set(cpus) <= set(allowed):
        raise InvalidInputError(
            source="--cpus",
            path="$",
            found=text,
            expected=f"{CPU_LIST_FORM}, of those that this process may use: "
            f"{','.join(map(str, allowed))}",
        )
    return cpus


def _measure(experiment: Experiment, directory: Path, loop: int | None) -> None:
    with _stoppable() as stop:
        to = Conduct(
            directory=directory,
            stop=stop,
            say=lambda text: click.echo(text, err=True),
            progress=Counter("measuring"),
        )
        try:
            conduct(experiment, to, loop=loop)
        except StoppedError:
            click.echo(
                f"stopped; what is recorded is kept, and --out {directory} continues", err=True
            )
            raise SystemExit(STOPPED) from None


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; their handlers are as before behind."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _shown(result: Result, *, as_json: bool, as_csv: bool) -> str:
    if as_csv:
        return effects_csv(result.findings)
    if as_json:
        return json.dumps(findings_json(result.findings, result.profile), indent=2)
    return format_findings(result.findings, result.profile)
