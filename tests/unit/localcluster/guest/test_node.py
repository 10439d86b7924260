"""A guest that is a node: its modules in order, its programs, its files, and what it asks for."""

from pathlib import Path

import pytest

from localcluster.addresses import AddressPlan
from localcluster.guest.boot import NODE_FILES, SECOND_PROGRAM, node_archive, second_program
from localcluster.guest.modules import load_order, module_name, parse_dependencies
from localcluster.host.network import node_commands
from localcluster.host.packages import unmet_guest_requirements
from localcluster.settings import EDGE_NODES, GUEST_NODE, ClusterSettings

DEPENDENCIES = """\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/drivers/block/virtio-blk.ko.xz:
"""


def test_a_module_is_loaded_after_all_that_it_needs() -> None:
    order = load_order(["virtio_blk", "built_in", "ext4"], parse_dependencies(DEPENDENCIES))

    assert [module_name(file) for file in order] == [
        "virtio_blk",
        "crc16",
        "mbcache",
        "jbd2",
        "ext4",
    ]


def test_the_first_process_starts_the_runtime_before_kubelet() -> None:
    text = second_program(
        name="edge-3",
        modules="overlay veth",
        containerd="containerd --config=/c",
        socket=Path("/run/c.sock"),
        kubelet="kubelet --k",
        proxy="kube-proxy --p",
    )

    assert text.index("forever containerd --config=/c &") < text.index("[ -S /run/c.sock ]")
    assert text.index("[ -S /run/c.sock ]") < text.index("forever kubelet --k &")
    assert "modprobe -a overlay veth\n" in text
    assert text.startswith("#!/bin/sh\n")


def test_the_guests_own_files_are_packed_below_one_directory() -> None:
    archive = node_archive({SECOND_PROGRAM: (b"#!/bin/sh\n", 0o755)})

    assert f"{NODE_FILES}/{SECOND_PROGRAM}\0".encode() in archive
    assert len(archive) % 512 == 0


def test_what_guests_need_is_named_with_the_line_that_installs_it() -> None:
    unmet = unmet_guest_requirements(find=lambda _name: None, machine="x86_64")

    assert len(unmet) == 1
    assert "qemu-system-x86" in unmet[0]
    assert "apt-get install" in unmet[0]


def test_guests_are_of_one_architecture() -> None:
    unmet = unmet_guest_requirements(find=lambda name: name, machine="aarch64")

    assert unmet == ["guests are x86_64, not aarch64"]
    assert unmet_guest_requirements(find=lambda name: name, machine="x86_64") == []


def test_a_cluster_is_more_than_guests() -> None:
    with pytest.raises(ValueError, match="no guest"):
        ClusterSettings(nodes=(GUEST_NODE,))

    assert ClusterSettings(nodes=(*EDGE_NODES, GUEST_NODE)).nodes[-1].guest


def test_a_guest_is_the_third_node_of_the_address_plan() -> None:
    commands = node_commands(AddressPlan(index=0), number=3, nodes=3)

    assert "address add 10.77.0.13/24 dev eth0" in commands
    assert "route add 10.88.1.0/24 via 10.77.0.11" in commands
