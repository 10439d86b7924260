"""Pods per second of a real kube-scheduler: without extender, with a trivial one, with k40s.

    python -m bench.extender.scheduler_throughput
        [--rounds 3] [--nodes 500] [--pods 1500] [--binaries DIR]

A real etcd, API server and scheduler; the nodes are registered objects. In each round, for each
variant: all pods are created, then its extender and the scheduler are started, and no other
extender runs meanwhile; the rate is that from the first pod bound to the last. k40s runs with
every check on: each node publishes an assurance kept alive by a Lease, a third of the pods each is
NO, LOW and HI, and k40s itself creates the Bindings.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.extender.scheduler_progress import mean_durations, watch_scheduler
from k40s.annotations import (
    ASSURANCE_KEY,
    CRITICALITY_KEY,
    NodeAssurance,
    format_node_assurance,
)
from k40s.http.tls import TlsFiles
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.host.ports import free_ports
from localcluster.images.binaries import Binaries, kubernetes_version
from localcluster.plane.control_plane import ControlPlane
from tests.fakes.extender.process import (
    SCHEDULER,
    RunningExtender,
    issue_certificates,
    read_metrics,
    scheduler_configuration,
    start_extender,
)
from tests.fakes.registered_nodes import (
    Api,
    create_pods,
    delete_pods,
    make_spec,
    prepare,
    register_nodes,
)

CRITICALITIES = ("NO", "LOW", "HI")
PLAIN, MTLS = "k40s (plain)", "k40s (mTLS)"
K40S = (PLAIN, MTLS)
PROCESSES = {"trivial": "trivial", PLAIN: "k40s-plain", MTLS: "k40s-mtls"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    rate: float
    extender_ms: float
    """CPU of the extender's processes per pod."""
    durations: str = ""
    """The means of the calls inside k40s."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--pods", type=int, default=1500)
    parser.add_argument("--percentage", type=int, default=100, help="percentageOfNodesToScore")
    parser.add_argument("--only", default="", help="variants, separated by commas")
    parser.add_argument("--binaries", type=Path, default=default_binaries())
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="k40s-bench-") as directory,
        ControlPlane.on_loopback(
            directory=Path(directory), binaries=Binaries(directory=options.binaries)
        ) as plane,
    ):
        bench(plane, Path(directory), options)


def default_binaries() -> Path:
    return Path.home() / ".cache" / "k40s" / "kubernetes" / kubernetes_version()


def bench(plane: ControlPlane, directory: Path, options: argparse.Namespace) -> None:
    api = Api(plane)
    prepare(api)
    names = [f"node-{number:04d}" for number in range(options.nodes)]
    register_nodes(api, names, annotations=lambda _name: {ASSURANCE_KEY: assurance()})
    certificates = issue_certificates(directory / "certificates")
    chosen = [one for one in options.only.split(",") if one]
    variants = [name for name in ("none", "trivial", *K40S) if not chosen or name in chosen]
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for number in range(options.rounds):
        for name in variants:
            run = measure(plane, api, name, certificates, options)
            runs[name].append(run)
            print(
                f"round {number + 1} {name:12} {run.rate:7.1f} pods/s, "
                f"{run.extender_ms:.2f} ms {run.durations}",
                file=sys.stderr,
            )
    report(runs, options)


def start_variant(
    plane: ControlPlane, certificates: Mapping[str, TlsFiles], name: str
) -> RunningExtender | None:
    if name == "none":
        return None
    if name == "trivial":
        (port,) = free_ports(1)
        argv = [sys.executable, "-m", "bench.extender.trivial", str(port)]
        plane.supervisor.start(PROCESSES[name], argv)
        url = f"http://127.0.0.1:{port}/scheduler"
        return RunningExtender(url=url, probes="", scheduler_tls=None)
    tls = name == MTLS
    module = "extender" if tls else "bench.extender.plain"
    return start_extender(plane, certificates, name=PROCESSES[name], module=module, tls=tls)


def assurance() -> str:
    return format_node_assurance(
        NodeAssurance(
            hardware=5,
            software=4,
            state=10,
            observed=datetime.now(UTC).replace(microsecond=0),
            lease=Nanoseconds(3600 * NS_PER_S),
        )
    )


def measure(
    plane: ControlPlane,
    api: Api,
    variant: str,
    certificates: Mapping[str, TlsFiles],
    options: argparse.Namespace,
) -> Run:
    specs = [
        make_spec(
            f"pod-{number:05d}",
            scheduler=SCHEDULER,
            annotations={CRITICALITY_KEY: CRITICALITIES[number % 3]},
        )
        for number in range(options.pods)
    ]
    create_pods(api, specs)
    extender = start_variant(plane, certificates, variant)
    config = scheduler_configuration(extender)
    config["percentageOfNodesToScore"] = options.percentage
    config["clientConnection"] = {"qps": 5000, "burst": 5000}
    if variant == "trivial":
        del config["extenders"][0]["bindVerb"]
    (port,) = free_ports(1)
    process = extender_process(plane, variant)
    before = cpu_seconds(process)
    plane.start_scheduler(config, port=port)
    try:
        rate = watch_scheduler(plane, port, options.pods)
    finally:
        plane.stop("kube-scheduler")
    spent = cpu_seconds(process) - before
    durations = (
        mean_durations(read_metrics(extender.probes)) if extender and extender.probes else ""
    )
    if variant in PROCESSES:
        plane.stop(PROCESSES[variant])
    delete_pods(api)
    return Run(rate=rate, extender_ms=spent * 1000 / options.pods, durations=durations)


def extender_process(plane: ControlPlane, variant: str) -> psutil.Process | None:
    pid = plane.pid(PROCESSES[variant]) if variant in PROCESSES else None
    return None if pid is None else psutil.Process(pid)


def cpu_seconds(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    family = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family)


def report(runs: dict[str, list[Run]], options: argparse.Namespace) -> None:
    base = runs.get("trivial")
    floor = statistics.median(run.rate for run in base) if base else 0.0
    print(
        f"\n{options.nodes} nodes, {options.pods} pods, percentageOfNodesToScore "
        f"{options.percentage}, {options.rounds} rounds interleaved\n"
    )
    print("| extender | pods/s, median | range | against trivial | extender CPU per pod |")
    print("|---|---|---|---|---|")
    for name, several in runs.items():
        rates = [run.rate for run in several]
        ratio = f"{statistics.median(rates) / floor:.2f}" if floor else "-"
        cpu = statistics.median(run.extender_ms for run in several)
        print(
            f"| {name} | {statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} "
            f"| {ratio} | {cpu:.2f} ms |"
        )


if __name__ == "__main__":
    main()
