"""Requirements of a local cluster on the machine: commands, packages, kernel."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.host.cgroups import Hierarchies, read_hierarchies
from localcluster.host.unified import NEEDED, Controllers

COMMANDS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "catatonit": "catatonit",
}
"""Command to Debian package."""

GUEST_COMMANDS: Mapping[str, str] = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mke2fs": "e2fsprogs",
    "dpkg-deb": "dpkg",
}
"""Further commands for guests."""

CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_CNI_PACKAGE = "containernetworking-plugins"
_CNI_PLUGINS = ("bridge", "host-local", "loopback")
KEYRING = "debian-archive-keyring"
"""Images are made of Debian's packages, whose keys another distribution may lack."""
_KEYRINGS = tuple(Path(f"/usr/share/keyrings/{KEYRING}{suffix}") for suffix in (".gpg", ".pgp"))
_SBIN = "/usr/sbin:/sbin"
_GUEST_MACHINE = "x86_64"


def find_command(name: str) -> str | None:
    """The path of a command; administrators' directories are searched even when PATH lacks them."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")


def find_cni_plugins() -> Path | None:
    """The directory that has all CNI plugins we use."""
    for directory in CNI_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in _CNI_PLUGINS):
            return directory
    return None


def has_keyring() -> bool:
    """Whether the keys of Debian's packages are there."""
    return any(path.exists() for path in _KEYRINGS)


def missing_packages(
    *,
    find: Callable[[str], str | None] = find_command,
    find_cni: Callable[[], Path | None] = find_cni_plugins,
    has_keys: Callable[[], bool] = has_keyring,
) -> list[str]:
    """The Debian packages to install before ``up`` can work, sorted; empty when all is there."""
    missing = {package for command, package in COMMANDS.items() if find(command) is None}
    if find_cni() is None:
        missing.add(_CNI_PACKAGE)
    if not has_keys():
        missing.add(KEYRING)
    return sorted(missing)


def install_command(packages: list[str]) -> str:
    """The line that installs them."""
    return f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"


def unmet_requirements() -> list[str]:
    """Unmet requirements of a cluster on this machine, each with a remedy."""
    if sys.platform != "linux":
        return [f"a local cluster needs Linux; this is {sys.platform}"]
    unmet = []
    if os.geteuid() != 0:
        unmet.append("a local cluster makes namespaces and cgroups: run this as root (sudo)")
    unmet += unmet_cgroups(read_hierarchies())
    packages = missing_packages()
    if packages:
        unmet.append(f"Debian packages are missing: {install_command(packages)}")
    return unmet


def unmet_cgroups(hierarchies: Hierarchies) -> list[str]:
    """What kubelet needs of the machine's cgroups, and is not there. Either version will do."""
    root = hierarchies.unified
    if root is None:
        is_there = (hierarchies.cpu / "cgroup.procs").exists()
        return [] if is_there else ["a local cluster needs cgroups, and none are mounted"]
    missing = sorted(NEEDED - Controllers(root).wanted())
    return [f"cgroup v2 at {root} has no controllers {', '.join(missing)}"] if missing else []


def require_machine() -> None:
    """Raise ``LocalClusterError`` with all unmet requirements at once."""
    unmet = unmet_requirements()
    if unmet:
        raise LocalClusterError("\n".join(unmet))


def unmet_guest_requirements(
    *, find: Callable[[str], str | None] = find_command, machine: str = platform.machine()
) -> list[str]:
    """Unmet requirements of a guest on this machine, besides ``unmet_requirements``."""
    unmet = [] if machine == _GUEST_MACHINE else [f"guests are {_GUEST_MACHINE}, not {machine}"]
    missing = sorted({name for command, name in GUEST_COMMANDS.items() if find(command) is None})
    if missing:
        unmet.append(f"Debian packages are missing: {install_command(missing)}")
    return unmet


def require_guest_machine() -> None:
    """Raise ``LocalClusterError`` with all unmet requirements of guests."""
    unmet = unmet_guest_requirements()
    if unmet:
        raise LocalClusterError("\n".join(unmet))
