"""Reads the facts of one machine. Nothing is changed, and no file has to be there."""

from collections.abc import Iterator
from dataclasses import dataclass

from k40s.node_agent.kubepods import kubepods_paths
from k40s.units import Nanoseconds
from workbench.doctor.cgroup_files import read_cgroups
from workbench.doctor.facts import Facts, Kernel, Kubelet, Machine, Rights, Scheduler
from workbench.doctor.files import Reader
from workbench.doctor.texts import (
    chosen,
    parse_capabilities,
    parse_cpus,
    parse_domains,
    parse_limits,
    parse_mounts,
    parse_options,
    parse_share,
    parse_steal,
    parse_swap,
    setting_of,
)

_CPU = "/sys/devices/system/cpu"
_DEBUG = "/sys/kernel/debug"
_KERNEL = "/proc/sys/kernel"
_SYS_NICE, _SYS_ADMIN = 23, 21
_VIRTUAL = (
    "kvm",
    "qemu",
    "vmware",
    "xen",
    "virtualbox",
    "hyper-v",
    "virtual machine",
    "firecracker",
)
_KUBELET = ("/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet/kubelet-config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The kernel that runs this process: its release, and the tick measured on it."""

    release: str
    tick: Nanoseconds


def gather(reader: Reader, running: Running, *, table_of: str = "self") -> Facts:
    """The facts that the reader's files tell.

    ``running`` counts where the files are of the same kernel. ``table_of`` is the process whose
    table of mounts says where hierarchies are: "self", or "1" below another root.
    """
    kernel = _kernel(reader)
    mounts = reader.text(f"/proc/{table_of}/mounts")
    same = kernel.release == running.release
    return Facts(
        kernel=kernel,
        cgroups=read_cgroups(reader, mounts),
        scheduler=_scheduler(reader, mounts, running.tick if same else None),
        machine=_machine(reader),
        rights=_rights(reader),
        kubelet=_kubelet(reader, mounts),
        gaps=reader.gaps,
    )


def _kernel(reader: Reader) -> Kernel:
    release = reader.text(f"{_KERNEL}/osrelease") or ""
    kernel = Kernel(
        release=release,
        banner=reader.text(f"{_KERNEL}/version") or "",
        command_line=tuple((reader.text("/proc/cmdline") or "").split()),
    )
    for path, text in _configurations(reader, release):
        if text is None:
            continue
        options = parse_options(text)
        if options is None:
            reader.refuse(path, "not a kernel configuration")
            continue
        return Kernel(
            release=kernel.release,
            banner=kernel.banner,
            command_line=kernel.command_line,
            options=options,
            options_from=path,
        )
    return kernel


def _configurations(reader: Reader, release: str) -> Iterator[tuple[str, str | None]]:
    yield "/proc/config.gz", reader.unpacked("/proc/config.gz")
    if release and "/" not in release:
        for path in (
            f"/boot/config-{release}",
            f"/usr/boot/config-{release}",
            f"/lib/modules/{release}/config",
            f"/usr/lib/modules/{release}/config",
        ):
            yield path, reader.text(path)


def _scheduler(reader: Reader, mounts: str | None, tick: Nanoseconds | None) -> Scheduler:
    mounted = any(kind == "debugfs" for kind, _, _ in parse_mounts(mounts))
    debug = reader.is_there(f"{_DEBUG}/sched")
    features = reader.text(f"{_DEBUG}/sched/features")
    return Scheduler(
        rt_limit=parse_share(
            reader.text(f"{_KERNEL}/sched_rt_runtime_us"),
            reader.text(f"{_KERNEL}/sched_rt_period_us"),
        ),
        tick=tick,
        features=None if features is None else frozenset(features.split()),
        preempt=chosen(reader.text(f"{_DEBUG}/sched/preempt")),
        domains=parse_domains(reader.text(f"{_DEBUG}/sched/debug")),
        has_fair_server=reader.is_there(f"{_DEBUG}/sched/fair_server"),
        realtime=reader.text("/sys/kernel/realtime") == "1",
        debugfs=None if mounts is None else mounted or debug,
        lockdown=chosen(reader.text("/sys/kernel/security/lockdown")),
        pressure=None if mounts is None else reader.text("/proc/pressure/cpu") is not None,
    )


def _machine(reader: Reader) -> Machine:
    online = parse_cpus(reader.text(f"{_CPU}/online"))
    cpuinfo = reader.text("/proc/cpuinfo")
    smt = reader.text(f"{_CPU}/smt/active")
    governors = (reader.text(f"{_CPU}/cpu{cpu}/cpufreq/scaling_governor") for cpu in sorted(online))
    return Machine(
        online=online,
        isolated=parse_cpus(reader.text(f"{_CPU}/isolated")),
        nohz_full=parse_cpus(reader.text(f"{_CPU}/nohz_full")),
        smt=smt == "1" if smt in ("0", "1") else None,
        governors=frozenset(name for name in governors if name),
        turbo=_turbo(reader),
        clock=reader.text("/sys/devices/system/clocksource/clocksource0/current_clocksource") or "",
        swap=parse_swap(reader.text("/proc/swaps")),
        hypervisor=None if cpuinfo is None else _is_virtual(reader, cpuinfo),
        steal=parse_steal(reader.text("/proc/stat")),
    )


def _turbo(reader: Reader) -> bool | None:
    off = reader.text(f"{_CPU}/intel_pstate/no_turbo")
    if off in ("0", "1"):
        return off == "0"
    boost = reader.text(f"{_CPU}/cpufreq/boost")
    return boost == "1" if boost in ("0", "1") else None


def _is_virtual(reader: Reader, cpuinfo: str) -> bool:
    names = (
        reader.text("/sys/class/dmi/id/sys_vendor") or "",
        reader.text("/sys/class/dmi/id/product_name") or "",
        reader.text("/sys/hypervisor/type") or "",
    )
    found = any(word in name.lower() for name in names for word in _VIRTUAL)
    return found or " hypervisor" in cpuinfo


def _rights(reader: Reader) -> Rights:
    mask = parse_capabilities(reader.text("/proc/self/status"))
    limits = parse_limits(reader.text("/proc/self/limits"))
    return Rights(
        sys_nice=None if mask is None else bool(mask >> _SYS_NICE & 1),
        sys_admin=None if mask is None else bool(mask >> _SYS_ADMIN & 1),
        sees_host=reader.text("/proc/2/comm") == "kthreadd",
        rtprio=limits.get("Max realtime priority", ""),
        memlock=limits.get("Max locked memory", ""),
    )


def _kubelet(reader: Reader, mounts: str | None) -> Kubelet:
    text = next((found for path in _KUBELET if (found := reader.text(path))), None)
    driver = setting_of(text, "cgroupDriver")
    points = [point for kind, point, _ in parse_mounts(mounts) if kind in ("cgroup", "cgroup2")]
    for path in kubepods_paths("/") if not driver else ():
        if any(reader.is_there(f"{point}/{path}") for point in points):
            driver = "systemd" if path.suffix == ".slice" else "cgroupfs"
    return Kubelet(driver=driver, cpu_manager=setting_of(text, "cpuManagerPolicy"))
