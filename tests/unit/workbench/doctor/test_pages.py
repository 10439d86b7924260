"""docs/kernels.md and docs/doctor.md show what the code says."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.kernels.tables import UNVERIFIED, RecordedKernel, read_kernels, tables
from k40s.units import Nanoseconds
from tests.fakes.recorded_files import recorded
from workbench.doctor.files import Reader
from workbench.doctor.findings import ANY
from workbench.doctor.gather import Running, gather
from workbench.doctor.judgement.judge import judge
from workbench.doctor.report import verdict_text

KERNELS = Path("docs/kernels.md").read_text(encoding="utf-8")
DOCTOR = Path("docs/doctor.md").read_text(encoding="utf-8")


def test_the_tables_of_kernels_are_those_of_the_recorded_options() -> None:
    for table in tables(read_kernels()).split("\n\n"):
        assert table in KERNELS


@pytest.mark.parametrize("kernel", read_kernels(), ids=lambda kernel: kernel.name)
def test_every_recorded_kernel_names_its_source(kernel: RecordedKernel) -> None:
    assert (kernel.facts is None) is (kernel.source == "")
    assert (kernel.cgroup_version is None) is (kernel.cgroups == "")


def test_what_has_no_source_is_not_verified_and_nothing_else() -> None:
    unknown = RecordedKernel(
        name="X",
        facts=None,
        release="",
        cgroup_version=None,
        source="",
        cgroups="",
        unverified=frozenset(),
    )

    cells = [
        cell
        for line in tables([unknown]).splitlines()
        if line.startswith("| X |")
        for cell in line.strip("| ").split(" | ")[1:]
    ]

    assert set(cells) == {UNVERIFIED}


def test_a_column_that_a_source_does_not_tell_is_not_verified() -> None:
    known = next(kernel for kernel in read_kernels() if kernel.name == "Debian 13")

    hidden = tables([replace(known, unverified=frozenset({"HZ"}))])

    assert f"| Debian 13 | 6.12.118 | {UNVERIFIED} |" in hidden


def test_the_page_shows_a_stock_debian_13_as_the_command_does() -> None:
    files = recorded("debian-13")
    running = Running(
        release=str(files.texts["/proc/sys/kernel/osrelease"]), tick=Nanoseconds(4_000_000)
    )

    shown = verdict_text(judge(gather(Reader(files), running)), (ANY,))

    assert f"```\n{shown}\n```" in DOCTOR


@pytest.mark.parametrize(
    "subject",
    [
        found.subject
        for found in judge(
            gather(Reader(recorded("debian-13")), Running(release="", tick=Nanoseconds(1)))
        ).findings
    ],
)
def test_every_subject_is_explained(subject: str) -> None:
    assert f"`{subject}`" in DOCTOR.partition("## What is looked at")[2]
