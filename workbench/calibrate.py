"""``k40s calibrate platform``: measures this machine, and prints its node's label and factor."""

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from k40s.annotations import PLATFORM_FACTOR_KEY, PLATFORM_LABEL
from workbench.calibration import machine, speed
from workbench.calibration.factor import Comparison, commands, warnings
from workbench.calibration.speed_run import SpeedRun, run_json, spread_of
from workbench.progress import Progress
from workbench.table import format_table

_LOW_ONLY = (
    "The factor scales baselines of LOW workloads. It was measured with three small pieces of "
    "work, not with yours,\nand is no bound: no HI workload can rest on it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A run, and its comparison where there is a reference."""

    run: SpeedRun
    comparison: Comparison | None
    node: str


def measure_machine(*, root: Path, repetitions: int, core: int, progress: Progress) -> SpeedRun:
    """Measure this machine. Raises ``OSError``, ``SpeedError``, ``MachineError``."""
    identity = machine.read_identity(root)
    stolen, total = machine.read_steal(root)
    times = speed.measure(repetitions=repetitions, core=core, progress=progress)
    stolen_after, total_after = machine.read_steal(root)
    return SpeedRun(
        identity=identity,
        interpreter=interpreter(),
        kernels=speed.KERNELS_VERSION,
        repetitions=repetitions,
        core=core,
        steal=Fraction(max(0, stolen_after - stolen), max(1, total_after - total)),
        spreads=tuple(spread_of(each) for each in times),
    )


def interpreter() -> str:
    """Python and numpy, to the minor version: runs of others are not compared."""
    name = sys.implementation.name
    numpy_version = ".".join(np.__version__.split(".")[:2])
    return f"{name} {sys.version_info.major}.{sys.version_info.minor}, numpy {numpy_version}"


def format_calibration(found: Calibration) -> str:
    """Identity, times, ratios, warnings and commands."""
    run = found.run
    parts = [_identity(run), _times(run)]
    if found.comparison is not None:
        parts += [_ratios(found.comparison), _LOW_ONLY]
    parts += [f"Note: {text}" for text in warnings(run)]
    parts.append("\n".join(commands(found.node, run, found.comparison)))
    return "\n\n".join(parts)


def calibration_json(found: Calibration) -> dict[str, object]:
    """The object that ``--json`` prints: the run, its comparison, labels and annotations."""
    comparison = found.comparison
    labels = {PLATFORM_LABEL: found.run.identity.platform}
    annotations = {} if comparison is None else {PLATFORM_FACTOR_KEY: str(comparison.factor)}
    return {
        "v": 1,
        "kind": "platform-calibration",
        "run": run_json(found.run),
        "ratios": None
        if comparison is None
        else {
            ratio.here.kernel: {
                "least": str(ratio.least),
                "usual": str(ratio.usual),
                "upper": str(ratio.upper),
            }
            for ratio in comparison.ratios
        },
        "labels": labels,
        "annotations": annotations,
        "warnings": list(warnings(found.run)),
        "commands": list(commands(found.node, found.run, comparison)),
    }


def _identity(run: SpeedRun) -> str:
    identity = run.identity
    frequency = (
        f"{identity.min_mhz} to {identity.max_mhz} MHz" if identity.max_mhz else "not visible"
    )
    words = {None: "not visible", True: "on", False: "off"}
    rows = (
        ("CPU", identity.model or "not visible"),
        ("microarchitecture", identity.microarchitecture or "not visible"),
        ("frequency", frequency),
        ("governor", identity.governor or "not visible"),
        ("boost", words[identity.boost]),
        ("hyper-threads", words[identity.smt]),
        ("virtual machine", "yes" if identity.virtual else "no"),
        ("platform", identity.platform),
        ("measured with", f"{run.interpreter}; {run.repetitions} times on core {run.core}"),
        ("stolen meanwhile", f"{float(run.steal):.2%} of the time of all CPUs"),
    )
    return "\n".join(f"{name + ':':<19}{value}" for name, value in rows)


def _times(run: SpeedRun) -> str:
    rows = [
        (s.kernel, *(f"{ns / 1e6:.2f}ms" for ns in (s.p5, s.median, s.p99, s.longest)))
        for s in run.spreads
    ]
    return format_table(("CPU time of", "p5", "median", "p99", "longest"), rows)


def _ratios(comparison: Comparison) -> str:
    rows = [
        (ratio.here.kernel, *(f"{float(r):.3f}" for r in (ratio.least, ratio.usual, ratio.upper)))
        for ratio in comparison.ratios
    ]
    table = format_table(("times the reference", "p5", "median", "p99"), rows)
    return f"{table}\nfactor: {comparison.factor}, the greatest p99, rounded up"
