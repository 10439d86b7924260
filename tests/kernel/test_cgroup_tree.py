"""The removal of a cluster's cgroups, whatever was done to the processes in them."""

import os
import subprocess
from pathlib import Path

import pytest

from localcluster.host.cgroups import CgroupTree
from tests.kernel.conftest import eventually

FREEZER = Path("/sys/fs/cgroup/freezer")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (FREEZER / "tasks").exists(), reason="needs root and a freezer of v1"
)


def test_a_cgroup_with_a_frozen_process_is_removed() -> None:
    name = f"k40s-frozen-{os.getpid()}"
    tree, inner = CgroupTree(name, hierarchies=(FREEZER,)), FREEZER / name / "pod"
    with subprocess.Popen(["sleep", "120"]) as process:
        try:
            tree.create(cpus="0", below="pod")
            tree.adopt(process.pid, below="pod")
            (inner / "freezer.state").write_text("FROZEN")
            eventually(lambda: (inner / "freezer.state").read_text() == "FROZEN\n")

            tree.remove()

            assert process.wait(timeout=60) == -9
            assert not tree.exists()
        finally:
            if inner.exists():
                (inner / "freezer.state").write_text("THAWED")
            process.kill()
