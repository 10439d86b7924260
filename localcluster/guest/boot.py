"""Boot of a guest node: from its kernel to containerd, kubelet and kube-proxy."""

import io
from collections.abc import Mapping
from pathlib import Path

from localcluster.guest.cpio import CpioWriter
from localcluster.guest.modules import (
    BOOT_MODULES,
    load_order,
    module_content,
    plain_name,
    read_dependencies,
)

MODULES_DISK = "modules-disk"
"""In the boot archive: an empty directory, where a disk of modules may be mounted."""
NODE_FILES = "node"
"""In the boot archive: what is copied over the root file system before it is used."""
SECOND_PROGRAM = "etc/k40s-guest/init"
NETWORK_COMMANDS = "etc/k40s-guest/network"

FIRST_PROGRAM = f"""\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /boot-modules); do /bin/busybox insmod "$module"; done
for second in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vdb ] && break
    /bin/busybox sleep 1
done
/bin/busybox mount -t ext4 /dev/vda /root
/bin/busybox mount -t ext4 /dev/vdb /root/var/lib/containerd
/bin/busybox cp -a /{NODE_FILES}/. /root/
exec /bin/busybox switch_root /root /{SECOND_PROGRAM}
"""

_SECOND_PROGRAM = """\
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec </dev/null >/dev/console 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for place in /dev/shm /run /tmp; do mount -t tmpfs tmpfs $place; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
mount --make-rshared /
hostname {name}
modprobe -a {modules}
ip -batch /{network}
echo 1 >/proc/sys/net/ipv4/ip_forward
cd /sys/fs/cgroup
mkdir system
for pid in $(cat cgroup.procs); do echo $pid >system/cgroup.procs; done 2>/dev/null
for controller in cpu cpuset memory pids io; do echo +$controller >cgroup.subtree_control; done
cd /
forever() {{ while :; do "$@"; echo "guest: $1 ended with status $?"; sleep 1; done; }}
forever {containerd} &
until [ -S {socket} ]; do sleep 0.2; done
forever {kubelet} &
forever {proxy} &
while :; do wait; sleep 1; done
"""


def second_program(
    *,
    name: str,
    modules: str,
    containerd: str,
    socket: Path,
    kubelet: str,
    proxy: str,
) -> str:
    """The guest's process 1, a shell script; ``containerd`` and so on are command lines."""
    return _SECOND_PROGRAM.format(
        name=name,
        modules=modules,
        network=NETWORK_COMMANDS,
        containerd=containerd,
        socket=socket,
        kubelet=kubelet,
        proxy=proxy,
    )


def write_boot_archive(
    target: Path, *, root: Path, release: str, program: str = FIRST_PROGRAM
) -> None:
    """Write the initramfs, from a root file system with kmod and a static busybox.

    ``program`` is its ``/init``.
    """
    modules = root / "lib/modules" / release
    order = load_order(BOOT_MODULES, read_dependencies(modules))
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        writer = CpioWriter(file)
        for name in ("dev", "root", MODULES_DISK):
            writer.add_directory(name)
        writer.add_file("bin/busybox", (root / "bin/busybox").read_bytes(), mode=0o755)
        for module in order:
            writer.add_file(f"modules/{plain_name(module)}", module_content(modules / module))
        names = "".join(f"/modules/{plain_name(one)}\n" for one in order)
        writer.add_file("boot-modules", names.encode())
        writer.add_file("init", program.encode(), mode=0o755)
        writer.close()
    part.replace(target)


def node_archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """An archive to follow the boot archive: paths on the guest → content and mode."""
    stream = io.BytesIO()
    writer = CpioWriter(stream)
    for name, (content, mode) in files.items():
        writer.add_file(f"{NODE_FILES}/{name}", content, mode=mode)
    writer.close()
    return stream.getvalue()
