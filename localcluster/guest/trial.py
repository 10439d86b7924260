"""Runs programs in a guest of their own, and reads the facts that they print."""

import importlib.util
import json
import marshal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.errors import LocalClusterError
from localcluster.guest.cpio import CpioWriter
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.modules import module_files
from localcluster.guest.qemu import CPUS, Emulation, command
from localcluster.host.commands import run
from localcluster.host.files import locked
from localcluster.images.cluster_images import digest
from localcluster.images.debian import BARE_PACKAGES, bootstrap, recipe
from localcluster.progress import Progress

_PACKAGES = (*BARE_PACKAGES, "mount", "busybox", "iproute2")
_MODULES = "modules"
_MEMORY = 640
_CODE = "k40s"
_CONSOLE_LINES = 40

_INIT = """\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/{code} PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug
stty -F /dev/ttyS1 raw
{modules}
cd /{code}
{programs}
busybox poweroff -f
"""
_PROGRAM = """\
timeout -s KILL {seconds} python3 {program} >/dev/ttyS1
echo '{{"program": "{program}", "status": '$?'}}' >/dev/ttyS1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Python file of the source tree that prints JSON objects, one a line; ``seconds`` at most.

    ``path`` is relative to the tree.
    """

    path: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReport:
    """The facts that the programs printed, in order, and the guest's console."""

    facts: Sequence[Mapping[str, Any]]
    console: str


def run_trial(
    kernel: GuestKernel,
    programs: Sequence[Program],
    *,
    sources: Mapping[str, Path],
    modules: Sequence[str] = (),
    cache: Path,
    boot_seconds: int,
    progress: Progress,
    counted: bool = False,
) -> TrialReport:
    """Boot ``kernel``, run the programs one after the other, and wait for the power-off.

    ``sources`` maps names in the guest's source tree to files or directories, of which Python
    files are taken; it is what the programs import from. ``modules`` of the kernel are loaded
    first, with those that they need. ``counted``: see ``Emulation``. The guest is ended when it
    takes more than ``boot_seconds`` and the programs' own limits. Raises ``LocalClusterError`` with
    the end of the console when it did not come to its end, or a program failed.
    """
    base = ensure_base(cache, progress)
    with tempfile.TemporaryDirectory(prefix="k40s-guest-") as scratch:
        initrd, results = Path(scratch) / "initrd", Path(scratch) / "results"
        with initrd.open("wb") as file:
            file.write(base.read_bytes())
            _write_own(CpioWriter(file), programs, sources, module_files(kernel, modules))
        emulation = Emulation(
            kernel=kernel.image,
            initrd=initrd,
            memory=_MEMORY,
            results=results,
            counted=counted,
            cpus=1 if counted else CPUS,
        )
        limit = boot_seconds + sum(program.seconds for program in programs)
        console = run(command(emulation), timeout=limit)
        facts = parse_facts(results.read_text(encoding="utf-8", errors="replace"))
    _check(programs, facts, console)
    statuses = {program.path for program in programs}
    return TrialReport(
        facts=[fact for fact in facts if fact.get("program") not in statuses], console=console
    )


def parse_facts(text: str) -> list[Mapping[str, Any]]:
    """The JSON objects among the lines; what else is there (a torn line) is left out."""
    found: list[Mapping[str, Any]] = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _check(programs: Sequence[Program], facts: Sequence[Mapping[str, Any]], console: str) -> None:
    statuses = {fact["program"]: fact.get("status") for fact in facts if "program" in fact}
    bad = {one.path: statuses.get(one.path, "never ran") for one in programs}
    bad = {path: status for path, status in bad.items() if status != 0}
    if bad:
        tail = "\n".join(console.splitlines()[-_CONSOLE_LINES:])
        raise LocalClusterError(f"failed in the guest: {bad}; the end of its console:\n{tail}")


def ensure_base(cache: Path, progress: Progress) -> Path:
    """The root file system as an archive, uncompressed: that loads fastest."""
    directory = cache / "guests"
    key = digest(word.encode() for word in recipe(_PACKAGES))
    target = directory / f"trial-{key}.cpio"
    with locked(directory / "trial.lock"):
        if not target.exists():
            with progress.step("making the guests' root file system"):
                tar, part = target.with_suffix(".tar"), target.with_suffix(".part")
                bootstrap(tar, _PACKAGES)
                with part.open("wb") as file:
                    writer = CpioWriter(file)
                    writer.add_tar(tar)
                    writer.close()
                tar.unlink()
                for old in directory.glob("trial-*.cpio"):
                    old.unlink()
                part.replace(target)
    return target


def _write_own(
    writer: CpioWriter,
    programs: Sequence[Program],
    sources: Mapping[str, Path],
    modules: Sequence[tuple[str, bytes]],
) -> None:
    for name in ("proc", "sys", "dev", "tmp", "run"):
        writer.add_directory(name)
    for name, path in sources.items():
        if path.is_dir():
            for file in sorted(path.rglob("*.py")):
                _write_module(writer, file, f"{_CODE}/{name}/{file.relative_to(path)}")
        else:
            writer.add_file(f"{_CODE}/{name}", path.read_bytes())
    lines = "".join(_PROGRAM.format(seconds=one.seconds, program=one.path) for one in programs)
    for name, content in modules:
        writer.add_file(f"{_MODULES}/{name}", content)
    loads = "\n".join(f"busybox insmod /{_MODULES}/{name}" for name, _ in modules)
    script = _INIT.format(code=_CODE, programs=lines, modules=loads)
    writer.add_file("init", script.encode(), mode=0o755)
    writer.close()


def _write_module(writer: CpioWriter, file: Path, name: str) -> None:
    """A source file and what it compiles to; a guest with another Python ignores the latter."""
    source = file.read_bytes()
    writer.add_file(name, source)
    code = marshal.dumps(compile(source, f"/{name}", "exec", dont_inherit=True))
    # PEP 552: the flag that no check of the source is wanted, and room for its hash
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
    writer.add_file(importlib.util.cache_from_source(name), header + code)
