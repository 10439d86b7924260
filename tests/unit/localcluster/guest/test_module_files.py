"""Modules for guests without kmod."""

import lzma
from pathlib import Path

from localcluster.guest.kernels import GuestKernel
from localcluster.guest.modules import BOOT_MODULES, load_order, module_files, needs


def module(*names: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(names).encode() + b"\0name=x\0"


def kernel(root: Path, modules: dict[str, bytes]) -> GuestKernel:
    folder = root / "kernel/net"
    folder.mkdir(parents=True)
    for name, content in modules.items():
        data = lzma.compress(content) if name.endswith(".xz") else content
        (folder / name).write_bytes(data)
    return GuestKernel(flavour="cloud", release="6.12", image=root / "vmlinuz", modules=root)


def test_a_module_says_what_it_needs() -> None:
    assert needs(module("mqprio_lib", "other")) == ("mqprio_lib", "other")
    assert needs(module()) == ()
    assert needs(b"no section of that name") == ()


def test_modules_come_after_those_that_they_need_each_once_and_unpacked(tmp_path: Path) -> None:
    found = module_files(
        kernel(
            tmp_path,
            {
                "sch-a.ko.xz": module("sch_b", "built_in"),
                "sch_b.ko": module("sch_c"),
                "sch_c.ko.xz": module(),
            },
        ),
        ("sch_a", "sch_c", "built_in"),
    )

    assert [name for name, _content in found] == ["sch_c.ko", "sch_b.ko", "sch-a.ko"]
    assert found[0][1] == module()


def test_no_names_need_no_modules(tmp_path: Path) -> None:
    assert module_files(kernel(tmp_path, {"sch_b.ko": module()}), ()) == []


def test_a_disk_of_virtio_is_loaded_with_the_bus_that_it_is_on() -> None:
    order = load_order(BOOT_MODULES, {"virtio_blk.ko": (), "virtio_pci.ko": (), "ext4.ko": ()})

    assert order.index("virtio_pci.ko") < order.index("virtio_blk.ko")
