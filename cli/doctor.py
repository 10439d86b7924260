"""``k40s doctor``: what a node or a machine can enforce, and why not more."""

import json
import os
from pathlib import Path

import click
import yaml

from cli.exit_status import (
    DOES_NOT_HOLD,
    HOLDS,
    NOT_JUDGED,
    UnsuitableOptionsError,
    one_line_errors,
)
from k40s.cpu.model import Mechanism
from k40s.node_agent.tick import tick_length
from workbench.doctor.configuration import facts_of_configuration
from workbench.doctor.facts import Facts, Kernel
from workbench.doctor.files import HostFiles, Reader
from workbench.doctor.findings import ANY, is_met
from workbench.doctor.gather import Running, gather
from workbench.doctor.judgement.judge import judge
from workbench.doctor.report import verdict_object, verdict_text
from workbench.inputs.files import read_text, source_name

_ROOT = Path("/")
_NEEDS = [*(mechanism.value for mechanism in Mechanism), ANY]


@click.command()
@click.option(
    "--root",
    metavar="PATH",
    type=click.Path(path_type=Path),
    default=_ROOT,
    show_default=True,
    help="Where the root of the node is mounted: /host in a debugging pod.",
)
@click.option("--config", metavar="FILE", help="Judge a kernel by its configuration alone.")
@click.option("--release", metavar="RELEASE", help="The kernel's version, for --config.")
@click.option(
    "--cgroup-version",
    type=click.Choice(["1", "2"]),
    help="The cgroup version that the distribution mounts, for --config.",
)
@click.option(
    "--need",
    "needs",
    multiple=True,
    type=click.Choice(_NEEDS),
    help="A mechanism that has to be there; may be repeated. Default: any.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="How the verdict is printed.",
)
def doctor(
    *,
    root: Path,
    config: str | None,
    release: str | None,
    cgroup_version: str | None,
    needs: tuple[str, ...],
    output: str,
) -> None:
    """Say what this machine can enforce, why not more, and which line would change it.

    Nothing is changed, and no privilege is needed: what could not be read is listed. Status 0: the
    mechanisms of --need are there. 1: they are not. 2: bad options. 3: it could not be judged.
    """
    with one_line_errors():
        facts = _facts(root, config, release, cgroup_version)
        verdict = judge(facts)
        wanted = tuple(dict.fromkeys(needs)) or (ANY,)
        if output == "text":
            click.echo(verdict_text(verdict, wanted))
        else:
            found = verdict_object(verdict, wanted)
            text = json.dumps(found, indent=2) if output == "json" else _yaml(found)
            click.echo(text)
    answers = [is_met(verdict, need) for need in wanted]
    raise SystemExit(_status(answers))


def _facts(
    root: Path, config: str | None, release: str | None, cgroup_version: str | None
) -> Facts:
    if config is None:
        if release is not None or cgroup_version is not None:
            raise UnsuitableOptionsError("--release and --cgroup-version are for --config FILE")
        if not root.is_dir():
            raise UnsuitableOptionsError(f"--root: {root} is no directory")
        running = Running(release=os.uname().release, tick=tick_length())
        table = "self" if root == _ROOT else "1"
        return gather(Reader(HostFiles(root)), running, table_of=table)
    if root != _ROOT:
        raise UnsuitableOptionsError("--config and --root exclude each other")
    if release is not None and Kernel(release=release).version is None:
        raise UnsuitableOptionsError(f"--release: {release!r} has no version, such as 6.12.1")
    return facts_of_configuration(
        read_text(config),
        source=source_name(config),
        release=release,
        cgroup_version=None if cgroup_version is None else int(cgroup_version),
    )


def _status(answers: list[bool | None]) -> int:
    """What is surely missing decides before what could not be judged."""
    if False in answers:
        return DOES_NOT_HOLD
    return NOT_JUDGED if None in answers else HOLDS


def _yaml(found: dict[str, object]) -> str:
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip()
