"""Files are read below a root, and texts become values or nothing."""

import gzip
import os
from fractions import Fraction
from pathlib import Path

import pytest

from tests.fakes.recorded_files import RecordedFiles
from workbench.doctor.cgroup_files import read_cgroups
from workbench.doctor.files import HostFiles, Reader
from workbench.doctor.texts import (
    chosen,
    parse_cpus,
    parse_domains,
    parse_mounts,
    parse_options,
    parse_share,
    parse_steal,
    parse_swap,
    setting_of,
)


def test_files_are_read_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("quiet \n")
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_HZ=250\n"))
    reader = Reader(HostFiles(tmp_path))

    assert reader.text("/proc/cmdline") == "quiet"
    assert reader.unpacked("/proc/config.gz") == "CONFIG_HZ=250\n"
    assert reader.directories("/") == ("proc",)
    assert reader.text("/proc/absent") is None
    assert not reader.gaps


def test_a_directory_in_the_place_of_a_file_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "cmdline").mkdir()
    reader = Reader(HostFiles(tmp_path))

    assert reader.text("/cmdline") is None
    assert [(gap.path, gap.cause) for gap in reader.gaps] == [("/cmdline", "is a directory")]


def test_a_pipe_does_not_make_the_reader_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert Reader(HostFiles(tmp_path)).text("/pipe") == ""


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\xff")

    assert Reader(HostFiles(tmp_path)).text("/file") == "a\ufffd"


def test_what_is_not_allowed_is_a_gap() -> None:
    reader = Reader(RecordedFiles({"/sys/x/y": "1"}, denied=("/sys/x",)))

    assert reader.directories("/sys/x") == ()
    assert not reader.is_there("/sys/x")
    assert [(gap.path, gap.cause) for gap in reader.gaps] == [("/sys/x", "permission denied")]


def test_options_are_read_set_unset_and_quoted() -> None:
    text = '#\n# Linux\nCONFIG_HZ=250\n# CONFIG_PSI is not set\nCONFIG_X="a b"\n'

    assert parse_options(text) == {"HZ": "250", "PSI": "n", "X": "a b"}
    assert parse_options("nothing of the kind") is None


@pytest.mark.parametrize(
    ("runtime", "period", "share"),
    [
        ("950000", "1000000", Fraction(95, 100)),
        ("-1", "1000000", Fraction(-1)),
        ("1", "0", None),
        (None, "1", None),
        ("x", "1", None),
    ],
)
def test_a_share_is_runtime_over_period(
    runtime: str | None, period: str | None, share: Fraction | None
) -> None:
    assert parse_share(runtime, period) == share


def test_lists_choices_and_settings_of_other_texts_are_nothing() -> None:
    assert parse_cpus("0-2,5") == {0, 1, 2, 5}
    assert parse_cpus("(null)") == frozenset()
    assert chosen("none voluntary (full) lazy") == "full"
    assert chosen("[none] integrity") == "none"
    assert chosen(None) == ""
    assert setting_of('{\n "cgroupDriver": "systemd",\n}', "cgroupDriver") == "systemd"
    assert setting_of("a: b", "cgroupDriver") == ""
    assert parse_swap("garbage") is None
    assert parse_steal("cpu 1 2") is None
    assert parse_steal("cpu 10 0 0 80 0 0 0 10 0 0") == Fraction(1, 10)
    assert parse_steal("cpu 0 0 0 0 0 0 0 0") is None
    assert list(parse_mounts("one two\n")) == []


def test_bandwidth_of_root_domains_is_read_by_cpu() -> None:
    text = (
        "dl_rq[0]:\n  .dl_bw->bw : 996147\n  .dl_bw->total_bw : 52428\n"
        "dl_rq[1]:\n  .dl_bw->bw : x\n"
    )

    found = parse_domains(text)

    assert set(found) == {0}
    assert found[0].limit == Fraction(996147, 1 << 20)


def test_a_tree_of_cgroups_without_end_is_walked_to_a_bound() -> None:
    texts = {f"/c/{n}/cpuset.sched_load_balance": "1" for n in range(500)}
    reader = Reader(RecordedFiles(texts))

    found = read_cgroups(reader, "cgroup /c cgroup rw,cpuset 0 0\n")

    assert found.balanced is not None
    assert len(found.balanced) == 199


def test_partitions_of_cgroup_v2_are_found_with_their_state() -> None:
    reader = Reader(
        RecordedFiles(
            {
                "/c/cgroup.controllers": "cpu cpuset",
                "/c/rt/cpuset.cpus.partition": "root invalid (not exclusive)",
                "/c/system.slice/cpuset.cpus.partition": "member",
            }
        )
    )

    found = read_cgroups(reader, "cgroup2 /c cgroup2 rw 0 0\n")

    assert list(found.partitions) == ["/rt"]
