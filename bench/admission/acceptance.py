"""Acceptance ratio of each admission rule over random sets, by utilization; table and plots.

    python -m bench.admission.acceptance [--sets 40] [--pictures docs/images]

One core; sets of containers with periods of a class (log-uniform) and utilizations by UUniFast.
Deterministic. "Best" is what any sound test for real-time groups accepts that is known here: Davis
& Burns, containment, explicit deadlines and the cheaper of the first two for each container, for
sixteen periods and three notions of cost each, all containers being known beforehand.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp, log
from pathlib import Path
from random import Random
from time import process_time

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.admission.acceptance_rules import (
    MANY_DIVISORS,
    Containers,
    by_admission,
    by_demand,
    by_periodic_resources,
    by_priorities,
    by_servers,
    contained,
    explicit_deadline,
    hierarchical,
    misses_by_utilization,
)
from k40s.cpu.model import Mechanism
from k40s.cpu.synthesis import PERIOD_DIVISORS

LOADS = tuple(tenth / 10 for tenth in range(1, 10))
TICKS = (0, 1_000, 4_000)
LIMIT = 0.95
TOLERANCE = 0.05
SIMULATED = 20
"""Sets per point of which the unsound rule's misses are counted."""

Rule = Callable[[Containers, int], bool]


@dataclass(frozen=True)
class PeriodClass:
    name: str
    shortest: int
    longest: int
    containers: int
    tasks: int


CLASSES = (
    PeriodClass("10ms-1s", 10_000, 1_000_000, 4, 3),
    PeriodClass("100ms-1s", 100_000, 1_000_000, 3, 3),
    PeriodClass("1ms-20ms", 1_000, 20_000, 3, 2),
)


def best(containers: Containers, tick: int) -> bool:
    tests = ([hierarchical, contained], [hierarchical], [contained], [explicit_deadline])
    return any(
        by_servers(containers, tick, budgeting=test, divisors=MANY_DIVISORS, burst=burst)
        for burst in (2, 0, None)
        for test in tests
    )


RULES: dict[str, Rule] = {
    "rt-cgroups": partial(by_admission, mechanism=Mechanism.RT_CGROUP),
    "no exch.": partial(by_admission, mechanism=Mechanism.RT_CGROUP, exchanges=False),
    "best": best,
    "D&B": partial(by_servers, budgeting=[hierarchical], divisors=PERIOD_DIVISORS),
    "contain": partial(by_servers, budgeting=[contained], divisors=PERIOD_DIVISORS),
    "EDP(R_S)": partial(by_servers, budgeting=[explicit_deadline], divisors=PERIOD_DIVISORS),
    "PRM": by_periodic_resources,
    "DEADLINE": partial(by_admission, mechanism=Mechanism.DEADLINE),
    "QPA": lambda containers, _tick: by_demand(containers),
    "flat FP": lambda containers, _tick: by_priorities(containers),
}
LABELS = {
    "rt-cgroups": "rt-cgroups, admission",
    "no exch.": "the same, without exchanges",
    "D&B": "the same, shortest period first",
    "best": "rt-cgroups, best sound test known",
    "contain": "rt-cgroups, containment only",
    "EDP(R_S)": "rt-cgroups, explicit deadline R_S",
    "PRM": "periodic resources under EDF",
    "DEADLINE": "SCHED_DEADLINE, admission",
    "QPA": "SCHED_DEADLINE, nobody overruns",
    "flat FP": "flat priorities, no isolation",
}
STYLES = {
    "rt-cgroups": ("C0", "-", 2.4),
    "no exch.": ("C9", "-", 1.0),
    "D&B": ("C0", "--", 1.2),
    "best": ("C0", ":", 1.2),
    "contain": ("C1", "-", 1.0),
    "EDP(R_S)": ("C4", "-", 1.0),
    "PRM": ("C5", "-", 1.0),
    "DEADLINE": ("C2", "-", 2.4),
    "QPA": ("C2", ":", 1.2),
    "flat FP": ("0.5", "--", 1.0),
}


def random_set(chance: Random, kind: PeriodClass, load: float) -> list[list[tuple[int, int]]]:
    """Containers of (C, T) in microseconds, with utilizations by UUniFast (Bini & Buttazzo)."""
    left = load
    tasks = []
    count = kind.containers * kind.tasks
    for number in range(count, 0, -1):
        rest = left * chance.random() ** (1 / (number - 1)) if number > 1 else 0.0
        period = round(exp(chance.uniform(log(kind.shortest), log(kind.longest))))
        tasks.append((max(1, int((left - rest) * period)), period))
        left = rest
    return [tasks[start : start + kind.tasks] for start in range(0, count, kind.tasks)]


def measure(kind: PeriodClass, tick: int, count: int) -> dict[str, list[float]]:
    """Shares accepted, one per load; "unsound" is the share that misses of what U ≤ 0.95 takes."""
    shares: dict[str, list[float]] = {name: [] for name in (*RULES, "unsound")}
    for load in LOADS:
        chance = Random(f"{kind.name} {load}")  # noqa: S311  # a benchmark repeats itself
        sets = [random_set(chance, kind, load) for _ in range(count)]
        for name, rule in RULES.items():
            shares[name].append(sum(rule(containers, tick) for containers in sets) / count)
        simulated = sets[:SIMULATED]
        missed = sum(misses_by_utilization(containers, tick, chance) for containers in simulated)
        shares["unsound"].append(missed / len(simulated))
    return shares


def report(kind: PeriodClass, tick: int, shares: dict[str, list[float]]) -> None:
    print(f"\n{kind.name}, tick {tick / 1_000:g} ms")
    print("   U  " + "  ".join(f"{name:>10}" for name in RULES) + "  U<=0.95 of which miss")
    for index, load in enumerate(LOADS):
        row = "  ".join(f"{shares[name][index]:10.2f}" for name in RULES)
        print(f"{load:4.1f}  {row}  {'1.00':>7} {shares['unsound'][index]:13.2f}")
    others = [max(pair) for pair in zip(shares["contain"], shares["EDP(R_S)"], strict=True)]
    _print_gaps("rt-cgroups below the best of all", shares["rt-cgroups"], shares["best"])
    _print_gaps("D&B in order below the best of all", shares["D&B"], shares["best"])
    _print_gaps("D&B below other tests, the search being the same", shares["D&B"], others)


def _print_gaps(what: str, ours: list[float], best_known: list[float]) -> None:
    gaps = {
        load: round(most - own, 2)
        for load, own, most in zip(LOADS, ours, best_known, strict=True)
        if round(most - own, 6) > TOLERANCE
    }
    print(f"{what} by more than {TOLERANCE} at:", gaps or "no load")


def draw(kind: PeriodClass, results: dict[int, dict[str, list[float]]], folder: Path) -> None:
    """One picture with a panel for each tick; the same bytes for the same figures."""
    with mpl.rc_context({"svg.hashsalt": "k40s", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(10, 4.2))
        panels = figure.subplots(1, len(results), sharey=True)
        for panel, (tick, shares) in zip(panels, results.items(), strict=True):
            _draw_panel(panel, tick, shares)
        panels[0].set_ylabel("share of sets accepted")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
        figure.suptitle(
            f"One core, {kind.containers} containers of {kind.tasks} tasks, periods {kind.name}"
        )
        figure.subplots_adjust(left=0.06, right=0.98, top=0.86, bottom=0.33, wspace=0.06)
        figure.savefig(folder / f"acceptance-{kind.name}.svg", metadata={"Date": None})


def _draw_panel(panel: Axes, tick: int, shares: dict[str, list[float]]) -> None:
    panel.set_title(f"δ = {tick // 1_000} ms" if tick else "δ = 0 (exact enforcement)")
    for name in RULES:
        color, line, width = STYLES[name]
        panel.plot(LOADS, shares[name], line, color=color, lw=width, label=LABELS[name])
    panel.plot(
        [*LOADS, LIMIT, LIMIT],
        [1.0] * (len(LOADS) + 1) + [0.0],
        "-.",
        color="C3",
        lw=1.0,
        label="utilization ≤ 0.95: UNSOUND",
    )
    panel.fill_between(
        LOADS,
        [1 - missed for missed in shares["unsound"]],
        1.0,
        color="C3",
        alpha=0.15,
        lw=0,
        label="of which seen to miss in simulation",
    )
    panel.set_xlabel("utilization")
    panel.set_xlim(LOADS[0], 1.0)
    panel.set_ylim(-0.02, 1.04)
    panel.grid(visible=True, lw=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--pictures", type=Path, default=None)
    arguments = parser.parse_args()
    start = process_time()
    for kind in CLASSES:
        results = {tick: measure(kind, tick, arguments.sets) for tick in TICKS}
        for tick, shares in results.items():
            report(kind, tick, shares)
        if arguments.pictures is not None:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            draw(kind, results, arguments.pictures)
    print(f"\n{process_time() - start:.0f} s of CPU time")


if __name__ == "__main__":
    main()
