"""Guests for the session: each boots once and runs its probes; tests read what they found."""

import os

import pytest

from localcluster.errors import LocalClusterError
from localcluster.guest.kernels import CLOUD, GuestKernel, ensure_kernel
from localcluster.guest.trial import Program, TrialReport, ensure_base, run_trial
from localcluster.host.paths import cache_root
from localcluster.progress import Progress
from tests.guest.trials import BOOT_SECONDS, HERE, PLAY_SECONDS, PROJECT, SOURCES

GATES = "gate_schedules"
"""This probe has a guest of its own, with one CPU whose instructions are its clock."""
MODULES = ("veth", "sch_taprio", "sch_prio", "sch_plug")
PROBE_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a guest waits for it, which has bounds of its own."""
    for item in items:
        if HERE in item.path.parents:
            seconds = 2 * PLAY_SECONDS if item.path.stem == "test_guest_time" else 7200
            item.add_marker(pytest.mark.timeout(seconds))


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
    try:
        ensure_base(cache_root(os.environ), progress)
        reports = [run_probes(kernel, progress, gates=gates) for gates in sorted(asked)]
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)
    return TrialReport(
        facts=[fact for one in reports for fact in one.facts],
        console="\n".join(one.console for one in reports),
    )


def run_probes(kernel: GuestKernel, progress: Progress, *, gates: bool) -> TrialReport:
    """The probe of gate schedules, or all others."""
    probes = [
        probe for probe in sorted((HERE / "probes").glob("*.py")) if (probe.stem == GATES) is gates
    ]
    with progress.step(f"running {len(probes)} probes in a guest, Linux {kernel.release}"):
        return run_trial(
            kernel,
            [
                Program(path=str(probe.relative_to(PROJECT)), seconds=PROBE_SECONDS)
                for probe in probes
            ],
            sources=SOURCES,
            modules=MODULES,
            cache=cache_root(os.environ),
            boot_seconds=BOOT_SECONDS,
            progress=progress,
            counted=gates,
        )


@pytest.fixture(scope="session")
def facts(report: TrialReport) -> dict[str, object]:
    """The value of every fact by its name."""
    return {str(fact["fact"]): fact["value"] for fact in report.facts}
