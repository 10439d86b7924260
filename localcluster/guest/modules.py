"""The kernel modules of a guest: the few that a node needs, uncompressed."""

import lzma
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.guest.kernels import GuestKernel
from localcluster.host.commands import run

BOOT_MODULES = ("crc32c_generic", "virtio_pci", "virtio_blk", "ext4")
"""Modules to mount the root file system; a kernel may have some of them built in."""

MODULES = (
    *BOOT_MODULES,
    *("virtio_net", "overlay", "veth", "bridge", "br_netfilter", "nf_conntrack", "nf_nat"),
    *("nft_chain_nat", "nft_ct", "nft_nat", "nft_masq", "nft_numgen", "nft_hash", "nft_limit"),
    *("nft_fib_inet", "nft_fib_ipv4", "nft_fib_ipv6", "nft_reject_ipv4", "nft_reject_ipv6"),
    *("nft_reject_inet", "nft_compat", "xt_conntrack", "xt_comment", "xt_mark"),
)
"""For disks, pods' networks and file systems, and kube-proxy."""

_COMPRESSED = ".xz"
_DEPMOD_TIMEOUT = 300


def parse_dependencies(text: str) -> dict[str, tuple[str, ...]]:
    """Module file → the files it needs, out of ``modules.dep``; those needed first come last."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {file: tuple(needed.split()) for file, _, needed in pairs}


def load_order(names: Sequence[str], dependencies: Mapping[str, Sequence[str]]) -> list[str]:
    """The files of these modules and of all that they need, each after what it needs.

    A name without a file is built into the kernel.
    """
    files = {module_name(file): file for file in dependencies}
    order: dict[str, None] = {}
    for file in (files[name] for name in names if name in files):
        for one in (*reversed(dependencies[file]), file):
            order[one] = None
    return list(order)


def module_name(file: str) -> str:
    """``virtio_net`` for ``kernel/drivers/net/virtio-net.ko.xz``."""
    return file.rpartition("/")[2].partition(".")[0].replace("-", "_")


def install_modules(kernel: GuestKernel, root: Path) -> None:
    """Put ``MODULES`` into a root file system that has kmod."""
    target = root / "lib/modules" / kernel.release
    shutil.copytree(kernel.modules, target)
    depmod = ("chroot", root, "depmod", kernel.release)
    run(depmod, timeout=_DEPMOD_TIMEOUT)
    wanted = load_order(MODULES, read_dependencies(target))
    shutil.rmtree(target)
    for file in wanted:
        copy = target / plain_name(file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(module_content(kernel.modules / file))
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(kernel.modules / name, target)
    run(depmod, timeout=_DEPMOD_TIMEOUT)


def module_files(kernel: GuestKernel, names: Sequence[str]) -> list[tuple[str, bytes]]:
    """File names and contents, uncompressed, of these modules and those they need, in load order.

    For a guest without kmod: what a module needs is read from the module itself. A name without a
    file is built into the kernel.
    """
    files = {module_name(path.name): path for path in kernel.modules.rglob("*.ko*")}
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or plain_name(path.name) in order:
            return
        content = module_content(path)
        for needed in needs(content):
            add(needed)
        order[plain_name(path.name)] = content

    for name in names:
        add(name)
    return list(order.items())


def needs(module: bytes) -> tuple[str, ...]:
    """The modules that a kernel module names in its section ``.modinfo``."""
    found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", module)
    return tuple(filter(None, found[1].decode("ascii").split(","))) if found else ()


def read_dependencies(modules: Path) -> dict[str, tuple[str, ...]]:
    """The dependencies that ``depmod`` wrote into a directory of modules."""
    return parse_dependencies((modules / "modules.dep").read_text(encoding="utf-8"))


def plain_name(file: str) -> str:
    """The name of a module's file when it is not compressed."""
    return file.removesuffix(_COMPRESSED)


def module_content(file: Path) -> bytes:
    """What a module's file has, uncompressed."""
    data = file.read_bytes()
    return lzma.decompress(data) if file.suffix == _COMPRESSED else data
