"""One guest for the session: it boots once and runs every probe; tests read what they found."""

import os
from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.guest.kernels import CLOUD, GuestKernel, ensure_kernel
from localcluster.guest.trial import Program, TrialReport, ensure_base, run_trial
from localcluster.host.paths import cache_root
from localcluster.progress import Progress

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SOURCES = ("k40s", "daemons", "tests/guest")
GATES = "gate_schedules"
"""Has a target of its own: it needs a guest that is not late, which a busy machine's is."""
MODULES = ("veth", "sch_taprio", "sch_prio", "sch_plug")
BOOT_SECONDS = 300
PROBE_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the guest, which has bounds of its own."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def kernel(progress: Progress) -> GuestKernel:
    """Debian's kernel for virtual machines: cgroup v2, no real-time groups."""
    try:
        return ensure_kernel(CLOUD, cache=cache_root(os.environ), progress=progress)
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def report(kernel: GuestKernel, progress: Progress, request: pytest.FixtureRequest) -> TrialReport:
    """All that the probes printed: that of gate schedules, the others, or both, as is asked."""
    asked = {item.path.stem == f"test_{GATES}" for item in request.session.items}
    probes = [
        probe for probe in sorted((HERE / "probes").glob("*.py")) if (probe.stem == GATES) in asked
    ]
    try:
        ensure_base(cache_root(os.environ), progress)
        with progress.step(f"running {len(probes)} probes in a guest, Linux {kernel.release}"):
            return run_trial(
                kernel,
                [
                    Program(path=str(probe.relative_to(PROJECT)), seconds=PROBE_SECONDS)
                    for probe in probes
                ],
                sources={name: PROJECT / name for name in SOURCES},
                modules=MODULES,
                cache=cache_root(os.environ),
                boot_seconds=BOOT_SECONDS,
                progress=progress,
            )
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def facts(report: TrialReport) -> dict[str, object]:
    """The value of every fact by its name."""
    return {str(fact["fact"]): fact["value"] for fact in report.facts}
