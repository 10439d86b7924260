"""Share of slot requests accepted, online and in random order, by rule and utilization.

    python -m bench.tdma.acceptance [--sets 5] [--solver-sets 0] [--solver-seconds 20]
                                    [--picture docs/images/tdma-acceptance.svg]

100 Mbit/s, cycles of 1 ms, 46 to 1,500 bytes, 20 µs of guard. Deterministic. CP-SAT knows all
requests beforehand, starts from what the search found, and is asked about the first sets of each
class only; its OR-tools are no dependency (pip install ortools). Status 1 below the bars.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from time import process_time

from matplotlib.figure import Figure

from bench.tdma.rules import (
    Requests,
    by_best_projection,
    by_first_fit,
    by_k40s_prototype,
    by_solver,
)
from bench.tdma.sets import CLASSES, SHARES, random_requests
from workbench.plots.style import COLOURS, QUIET, save, style

LOADS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
BARS = {
    "harmonic": {0.5: 1.0, 0.7: 0.99, 0.85: 0.98},
    "automotive": {0.5: 0.99, 0.7: 0.99, 0.85: 0.97},
    "mixed": {0.5: 0.99, 0.7: 0.98, 0.85: 0.92},
}
RULES: Mapping[str, Callable[[Requests], int]] = {
    "best projection": by_best_projection,
    "first fit": by_first_fit,
    "k4.0s prototype": by_k40s_prototype,
}
WEIGHTED = "automotive, by share"
Shares = dict[str, list[float]]


def sets_of(kind: str, load: float, count: int) -> Iterator[Requests]:
    shares = SHARES if kind == WEIGHTED else None
    periods = CLASSES["automotive" if kind == WEIGHTED else kind]
    for number in range(count):
        chance = Random(f"{kind} {load} {number}")  # noqa: S311  # a benchmark repeats itself
        yield random_requests(chance, periods, load, shares)


def measure(kind: str, count: int) -> Shares:
    """Shares of all requests, one for each load."""
    found: Shares = {name: [] for name in ("requests", *RULES)}
    for load in LOADS:
        sets = list(sets_of(kind, load, count))
        total = sum(map(len, sets))
        found["requests"].append(total / count)
        for name, rule in RULES.items():
            found[name].append(sum(map(rule, sets)) / total)
    return found


def solve(kind: str, count: int, seconds: float) -> Shares:
    """The same of CP-SAT, with the bound that it proves."""
    found: Shares = {"CP-SAT": [], "its bound": [], "best projection": []}
    for load in LOADS:
        sets = list(sets_of(kind, load, count))
        total = sum(map(len, sets))
        answers = [by_solver(requests, seconds) for requests in sets]
        found["CP-SAT"].append(sum(placed for placed, _ in answers) / total)
        found["its bound"].append(sum(bound for _, bound in answers) / total)
        found["best projection"].append(sum(map(by_best_projection, sets)) / total)
    return found


def report(title: str, shares: Shares) -> None:
    print(f"\n{title}")
    print(f"{'U':>18}" + "".join(f"{load:8.2f}" for load in LOADS))
    for name, row in shares.items():
        digits = 0 if name == "requests" else 3
        print(f"{name:>18}" + "".join(f"{value:8.{digits}f}" for value in row), flush=True)


def below(kind: str, shares: Shares) -> list[str]:
    return [
        f"{kind} {load}: {share:.4f} < {bar}"
        for load, share in zip(LOADS, shares["best projection"], strict=True)
        if (bar := BARS.get(kind, {}).get(load)) is not None and share < bar
    ]


def draw(results: Mapping[str, Shares], solved: Mapping[str, Shares], path: Path) -> None:
    """A panel for each class; the same bytes for the same figures."""
    names = [kind for kind in results if kind in BARS]
    with style():
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True)
        for panel, kind in zip(panels, names, strict=True):
            for colour, name in zip(COLOURS, RULES, strict=False):
                panel.plot(LOADS, results[kind][name], "o-", color=colour, ms=3, label=name)
            if kind in solved:
                best = solved[kind]["CP-SAT"]
                label = "CP-SAT, all known"
                panel.plot(LOADS, best, "D", mfc="none", color=QUIET, ms=6, label=label)
            panel.set_title(kind)
            panel.set_xlabel("utilization asked for")
            panel.set_ylim(0, 1.04)
            panel.grid(visible=True, color="#E4E4E4", linewidth=0.6)
        panels[0].set_ylabel("share of requests accepted")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--solver-sets", type=int, default=0)
    parser.add_argument("--solver-seconds", type=float, default=20)
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args()
    start, missed = process_time(), list[str]()
    results: dict[str, Shares] = {}
    solved: dict[str, Shares] = {}
    for kind in (*CLASSES, WEIGHTED):
        results[kind] = measure(kind, options.sets)
        report(f"{kind}: {options.sets} sets for each U", results[kind])
        missed += below(kind, results[kind])
    for kind in BARS if options.solver_sets else ():
        try:
            solved[kind] = solve(kind, options.solver_sets, options.solver_seconds)
        except ModuleNotFoundError:
            print("\nno CP-SAT: OR-tools is not installed (pip install ortools)")
            break
        report(f"{kind}: CP-SAT, {options.solver_sets} sets for each U", solved[kind])
    if options.picture is not None:
        draw(results, solved, options.picture)
    print(f"\n{process_time() - start:.0f} s of CPU time")
    if missed:
        print("below the bars:", *missed, sep="\n  ")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
