"""Assembles the DEADLINE back end, as kernel and settings allow."""

import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from fractions import Fraction
from functools import partial

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.probes.thread import LinuxProbes, StartProbe
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System, Wait
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.deadline.affinity import (
    Affinity,
    CpusetCores,
    PinnedCores,
    PodCores,
    SharedDomain,
)
from daemons.rubicante.mechanisms.deadline.back_end import DeadlineBackEnd
from daemons.rubicante.mechanisms.deadline.bandwidth import Invalidate
from daemons.rubicante.mechanisms.deadline.bandwidth_leaks import BandwidthLeaks
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.discovery import (
    DeadlineSupport,
    Partitions,
    find_deadline,
)
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from daemons.rubicante.mechanisms.deadline.recount import (
    PatientProbes,
    Rebuild,
    rebuild_domains,
)
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.paths import KernelPaths
from k40s.cpu.model import DeadlineOffer, Domain
from k40s.errors import K40sError
from k40s.units import MonotonicClock, Nanoseconds


def ask_for_deadline(
    *,
    system: System,
    attributes: Attributes,
    paths: KernelPaths,
    prefix: str,
    cores: AbstractSet[int],
    tick: Nanoseconds,
    held: Mapping[int, Fraction],
    load_balance_off: bool,
    wait: Wait,
    patience: float,
    start_probe: StartProbe | None = None,
) -> tuple[DeadlineSupport, Partitions | None]:
    """The node's offer, and the partitions that it needs (None where it needs none).

    ``load_balance_off`` is the operator's permission to switch off load balancing in cpusets of
    cgroup v1. Without it, what an earlier process switched off is restored. For so many seconds of
    ``patience`` EBUSY may mean threads that have just gone, or a wrong sum (``PatientProbes``). See
    ``find_deadline``.
    """
    start_probe = PatientProbes(
        start_probe or LinuxProbes(attributes),
        rebuild=_rebuild(system, paths, prefix),
        wait=wait,
        patience=patience,
    )
    warning = ""
    try:
        partitions = existing_partitions(system, paths, prefix, start_probe)
        if isinstance(partitions, CorePartitions) and not load_balance_off:
            warning, partitions = _put_back(partitions), None
    except (K40sError, OSError) as error:
        return DeadlineSupport(offer=None, problems=(str(error),)), None
    support = find_deadline(
        system=system,
        start_probe=start_probe,
        proc=paths.proc,
        debug=paths.debug,
        cores=cores,
        tick=tick,
        held=held,
        partitions=partitions,
    )
    if warning:
        support = replace(support, warnings=(*support.warnings, warning))
    return support, partitions if support.partitions else None


def withdraw(*, system: System, paths: KernelPaths, prefix: str, start_probe: StartProbe) -> str:
    """Restore what an earlier process changed for SCHED_DEADLINE, which is disabled now.

    Returns why that was not possible. Cpusets with pods' threads stay as they are.
    """
    try:
        partitions = existing_partitions(system, paths, prefix, start_probe)
        if isinstance(partitions, CorePartitions):
            return _put_back(partitions)
        if partitions is not None:
            partitions.tidy()
    except (K40sError, OSError) as error:
        return str(error)
    return ""


def deadline_back_end(
    offer: DeadlineOffer,
    partitions: Partitions | None,
    *,
    system: System,
    attributes: Attributes,
    paths: KernelPaths,
    prefix: str,
    threads: Threads,
    origins: Origins,
    tree: PodTree,
    cores: AbstractSet[int],
    start_probe: StartProbe | None = None,
    invalidate: Invalidate = lambda: None,
    wait: Wait = time.sleep,
    clock: MonotonicClock = time.monotonic,
) -> DeadlineBackEnd:
    """The back end for what ``ask_for_deadline`` found; ``invalidate``: see ``DeadlineBackEnd``."""
    start_probe = start_probe or LinuxProbes(attributes)
    affinity: Affinity
    if offer.domain is Domain.SHARED:
        affinity = SharedDomain(threads=threads, start_probe=start_probe, cores=cores)
    else:
        affinity = _on_single_cores(partitions, threads=threads, start_probe=start_probe, tree=tree)
    rebuild = _rebuild(system, paths, prefix)
    return DeadlineBackEnd(
        attributes=attributes,
        threads=threads,
        origins=origins,
        tree=tree,
        affinity=affinity,
        leaks=BandwidthLeaks(
            system=system,
            attributes=attributes,
            threads=threads,
            proc=paths.proc,
            debug=paths.debug,
            cores=cores,
            domain=offer.domain,
            rebuild=rebuild,
            clock=clock,
        ),
        rebuild=rebuild,
        invalidate=invalidate,
        wait=wait,
        clock=clock,
    )


def _on_single_cores(
    partitions: Partitions | None, *, threads: Threads, start_probe: StartProbe, tree: PodTree
) -> Affinity:
    if isinstance(partitions, CorePartitions):
        return CpusetCores(threads=threads, start_probe=start_probe, partitions=partitions)
    if isinstance(partitions, PodPartitions):
        return PodCores(threads=threads, start_probe=start_probe, partitions=partitions, tree=tree)
    return PinnedCores(threads=threads, start_probe=start_probe)


def _rebuild(system: System, paths: KernelPaths, prefix: str) -> Rebuild | None:
    """None on cgroup v2, where nothing has the kernel count again."""
    if paths.cpusets is None:
        return None
    return partial(rebuild_domains, system, paths.cpusets, prefix)


def _put_back(partitions: CorePartitions) -> str:
    if partitions.put_back():
        return ""
    return "load balancing stays off until the next start: threads are inside k40s cpusets"


def existing_partitions(
    system: System, paths: KernelPaths, prefix: str, start_probe: StartProbe
) -> CorePartitions | PodPartitions | None:
    """How this node's cores can be made root domains, whether or not they are at present.

    Raises ``KernelError`` and ``OSError`` where what it changed is not known.
    """
    saved = SavedValues(system=system, proc=paths.proc, file=paths.saved_values)
    if paths.cpusets is not None:
        return CorePartitions(
            system=system, root=paths.cpusets, prefix=prefix, saved=saved, start_probe=start_probe
        )
    if paths.unified is not None and paths.pods is not None:
        return PodPartitions(
            system=system,
            root=paths.unified,
            pods=paths.pods,
            prefix=prefix,
            saved=saved,
        )
    return None
