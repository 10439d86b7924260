"""The root disk: Debian 12, configured by its own maintainer scripts, and what the demo needs."""

import shutil
import sys
from pathlib import Path

from localcluster.guest.boot import MODULES_DISK, NODE_FILES, write_boot_archive
from localcluster.guest.disks import DiskStore, SystemDisk
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.modules import BOOT_MODULES
from localcluster.host.commands import run
from localcluster.images.cluster_images import digest
from localcluster.images.debian import bootstrap

PACKAGES = (
    *("buildah", "ca-certificates", "catatonit", "conntrack", "containerd"),
    *("containernetworking-plugins", "debian-archive-keyring", "e2fsprogs", "ethtool", "iproute2"),
    *("iptables", "kmod", "mmdebstrap", "nftables", "procps", "rt-app", "runc", "skopeo", "socat"),
    "stress-ng",
)
"""Those of ``make packages`` but for the emulator, and Prometheus for the tests."""
CHECKOUT = Path("root/k40s")
CACHE = Path("root/.cache/k40s")
_COMMAND = "etc/k40s-stock/command"

_SYSTEM = ("systemd-sysv", "udev", "dbus", "busybox-static", "python3")
_TOOLS = ("busybox-static", "kmod")
"""What a kernel's modules are made ready and loaded with."""
_SUITE = "bookworm"
_UNREAD = ("doc", "man", "locale")
_ROOM = 12 << 30
_MODULES_ROOM = 32 << 20
_TIMEOUT = 1800

_FIRST_PROGRAM = f"""\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /boot-modules); do /bin/busybox insmod "$module"; done
for second in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vdd ] && break
    /bin/busybox sleep 1
done
/bin/busybox mount -t ext4 -o noatime,noinit_itable /dev/vda /root
/bin/busybox mount -t ext4 -o noatime,noinit_itable /dev/vdb /root/{CACHE}
/bin/busybox mount -t ext4 -o ro /dev/vdd /{MODULES_DISK}
/bin/busybox mount -o bind /{MODULES_DISK}/lib/modules /root/usr/lib/modules
/bin/busybox tar -x -f /dev/vdc -C /root/{CHECKOUT}
/bin/busybox cp -a /{NODE_FILES}/. /root/
exec /bin/busybox switch_root /root /sbin/init
"""
_SERVICE = f"""\
[Unit]
Description=The command that this machine was started for
After=multi-user.target

[Service]
Type=simple
Environment=HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 TERM=dumb
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WorkingDirectory=/{CHECKOUT}
ExecStart=/bin/sh /etc/k40s-stock/run
KillMode=process
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
"""
_RUN = f"""\
exec </dev/null >/dev/console 2>&1
stty -F /dev/ttyS1 raw -echo
sh /{_COMMAND}
echo "status $?" >/dev/ttyS1
sync
busybox poweroff -f
"""
_FILES = {
    "etc/systemd/system/k40s-stock.service": _SERVICE,
    "etc/fstab": "",
    "etc/hostname": "stock\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 stock\n",
    "etc/resolv.conf": "",
}
_UNWANTED_UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer")
"""There is no network, and the emulated CPUs have enough to do."""
_PROGRAM = f"""\
#!/{CHECKOUT}/.venv/bin/python3
import sys
from cli.main import main
sys.exit(main())
"""


def own_files(command: str) -> dict[str, tuple[bytes, int]]:
    """What a machine for one shell command has beside its disks: path → content and mode."""
    texts = {
        _COMMAND: f"{command}\n",
        "etc/k40s-stock/run": _RUN,
        # An empty unit never starts: a login would hang the console up under what is written there.
        "etc/systemd/system/serial-getty@ttyS0.service": "",
    }
    return {name: (text.encode(), 0o644) for name, text in texts.items()}


def recipe(packages: tuple[str, ...] = (*_SYSTEM, *PACKAGES)) -> tuple[str, ...]:
    """The command that makes the file system, but for the target."""
    return (
        *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=tar"),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNREAD),
        *(f"--include={','.join(packages)}", _SUITE),
    )


def ensure_root_disk(store: DiskStore, *, lock: Path) -> Path:
    """The root file system, with the Python packages that ``lock`` pins; without kernel modules.

    The Python packages come from where this machine's pip takes them.
    """
    texts = (*recipe(), _PROGRAM, *_FILES, *_FILES.values(), *_UNWANTED_UNITS)
    key = digest([lock.read_bytes(), *(text.encode() for text in texts)])

    def fill(root: Path) -> None:
        tar = root.with_suffix(".tar")
        run([*recipe(), tar], timeout=_TIMEOUT)
        run(["tar", "--extract", f"--file={tar}", f"--directory={root}"], timeout=_TIMEOUT)
        tar.unlink()
        _configure(root)
        _add_python(root, lock)

    return store.ensure("stock-root", key, fill, room=_ROOM)


def ensure_kernel_disk(store: DiskStore, kernel: GuestKernel) -> SystemDisk:
    """A disk with all of a kernel's modules, and the archive that the machine starts from."""
    name = f"stock-{kernel.version[0]}.{kernel.version[1]}"
    texts = (kernel.release, _FIRST_PROGRAM, *_TOOLS, *BOOT_MODULES)
    key = digest(text.encode() for text in texts)
    boot = store.directory / f"{name}-{key}.cpio"

    def fill(root: Path) -> None:
        tar = root.with_suffix(".tar")
        bootstrap(tar, _TOOLS)
        run(["tar", "--extract", f"--file={tar}", f"--directory={root}"], timeout=_TIMEOUT)
        tar.unlink()
        shutil.copytree(kernel.modules, root / "lib/modules" / kernel.release, symlinks=True)
        run(["chroot", root, "depmod", kernel.release], timeout=_TIMEOUT)
        write_boot_archive(boot, root=root, release=kernel.release, program=_FIRST_PROGRAM)

    return SystemDisk(image=store.ensure(name, key, fill, room=_MODULES_ROOM), boot=boot)


def _configure(root: Path) -> None:
    for name, text in _FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")
    for path in (CACHE, CHECKOUT, Path("usr/lib/modules")):
        (root / path).mkdir(parents=True, exist_ok=True)
    units = root / "etc/systemd/system"
    wanted = units / "multi-user.target.wants/k40s-stock.service"
    wanted.symlink_to("../k40s-stock.service")
    for unit in _UNWANTED_UNITS:
        (units / unit).symlink_to("/dev/null")


def _add_python(root: Path, lock: Path) -> None:
    """``.venv`` of the checkout, as ``make setup`` makes it, by Debian's own Python."""
    environment = root / CHECKOUT / ".venv"
    inside = Path("/") / CHECKOUT / ".venv"
    run(["chroot", root, "python3", "-m", "venv", "--without-pip", inside], timeout=_TIMEOUT)
    (packages,) = environment.glob("lib/python3.*/site-packages")
    version = packages.parent.name.removeprefix("python")
    words = (
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"),
        *("--implementation=cp", f"--python-version={version}", f"--target={packages}"),
        f"--requirement={lock}",
    )
    run(words, timeout=_TIMEOUT)
    (packages / "k40s.pth").write_text(f"/{CHECKOUT}\n", encoding="utf-8")
    program = environment / "bin/k40s"
    program.write_text(_PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    compile_all = ("chroot", root, "python3", "-m", "compileall", "-q", inside, "/usr/lib/python3")
    run(compile_all, timeout=_TIMEOUT)
