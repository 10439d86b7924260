"""Puts the parts of the DEADLINE back end together, as this kernel and its operator allow."""

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from daemons.rubicante.kernel.bandwidth_watch import BandwidthWatch
from daemons.rubicante.kernel.confinement import (
    Confinement,
    CpusetCores,
    PinnedCores,
    PodCores,
    SharedDomain,
)
from daemons.rubicante.kernel.cpuset_v1 import CorePartitions, rebuild_domains
from daemons.rubicante.kernel.cpuset_v2 import PodPartitions
from daemons.rubicante.kernel.deadline import DeadlineThreads
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.parking import LinuxPark, Park
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.remembered import Remembered
from daemons.rubicante.kernel.root_domain import DeadlineSupport, Partitions, find_deadline
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from k40s.cpu.model import DeadlineOffer, Domain
from k40s.errors import K40sError
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePlaces:
    """Where things are on this node.

    ``debug`` is the scheduler's directory in debugfs (…/sched), ``memory`` the file in which
    former values of cpusets are kept. ``cpusets`` is the v1 hierarchy of the cpuset controller,
    ``unified`` the v2 mount, and ``pods`` kubelet's cgroup of all pods in that; None without one.
    """

    proc: Path
    debug: Path
    memory: Path
    cpusets: Path | None = None
    unified: Path | None = None
    pods: Path | None = None


def ask_for_deadline(
    *,
    system: System,
    attributes: Attributes,
    places: DeadlinePlaces,
    prefix: str,
    cores: AbstractSet[int],
    tick: Nanoseconds,
    held: Mapping[int, Fraction],
    load_balance_off: bool,
    park: Park | None = None,
) -> tuple[DeadlineSupport, Partitions | None]:
    """What the node offers, and the partitions that it rests on (None where it needs none).

    ``load_balance_off`` is the operator's leave to switch off load balancing in cpusets of cgroup
    v1. Without it, what an earlier process switched off is put back. See ``find_deadline``.
    """
    park, told = park or LinuxPark(attributes), ""
    try:
        partitions = _partitions(system, places, prefix, park)
        if isinstance(partitions, CorePartitions) and not load_balance_off:
            told, partitions = _put_back(partitions), None
    except (K40sError, OSError) as error:
        return DeadlineSupport(offer=None, problems=(str(error),)), None
    support = find_deadline(
        system=system,
        park=park,
        proc=places.proc,
        debug=places.debug,
        cores=cores,
        tick=tick,
        held=held,
        partitions=partitions,
    )
    if told:
        support = replace(support, warnings=(*support.warnings, told))
    return support, partitions if support.partitions else None


def withdraw(*, system: System, places: DeadlinePlaces, prefix: str, park: Park) -> str:
    """Put back what an earlier process changed for SCHED_DEADLINE, which is not used any more.

    Returns why that was not possible. What pods' threads stand in stays as it is.
    """
    try:
        partitions = _partitions(system, places, prefix, park)
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
    places: DeadlinePlaces,
    prefix: str,
    threads: Threads,
    homes: Homes,
    tree: PodTree,
    cores: AbstractSet[int],
    park: Park | None = None,
    doubt: Callable[[], None] = lambda: None,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> DeadlineThreads:
    """The back end for what ``ask_for_deadline`` found; ``doubt``: see ``DeadlineThreads``."""
    park = park or LinuxPark(attributes)
    confinement: Confinement
    if offer.domain is Domain.SHARED:
        confinement = SharedDomain(threads=threads, park=park, cores=cores)
    else:
        confinement = _on_single_cores(partitions, threads=threads, park=park, tree=tree)
    rebuild = (
        None if places.cpusets is None else partial(rebuild_domains, system, places.cpusets, prefix)
    )
    return DeadlineThreads(
        attributes=attributes,
        threads=threads,
        homes=homes,
        tree=tree,
        confinement=confinement,
        watch=BandwidthWatch(
            system=system,
            attributes=attributes,
            threads=threads,
            proc=places.proc,
            debug=places.debug,
            cores=cores,
            domain=offer.domain,
            rebuild=rebuild,
            clock=clock,
        ),
        rebuild=rebuild,
        doubt=doubt,
        wait=wait,
        clock=clock,
    )


def _on_single_cores(
    partitions: Partitions | None, *, threads: Threads, park: Park, tree: PodTree
) -> Confinement:
    if isinstance(partitions, CorePartitions):
        return CpusetCores(threads=threads, park=park, partitions=partitions)
    if isinstance(partitions, PodPartitions):
        return PodCores(threads=threads, park=park, partitions=partitions, tree=tree)
    return PinnedCores(threads=threads, park=park)


def _put_back(partitions: CorePartitions) -> str:
    if partitions.put_back():
        return ""
    return "load balancing stays off until the next start: threads are inside cpusets of ours"


def _partitions(
    system: System, places: DeadlinePlaces, prefix: str, park: Park
) -> CorePartitions | PodPartitions | None:
    remembered = Remembered(system=system, proc=places.proc, file=places.memory)
    if places.cpusets is not None:
        return CorePartitions(
            system=system, root=places.cpusets, prefix=prefix, remembered=remembered, park=park
        )
    if places.unified is not None and places.pods is not None:
        return PodPartitions(
            system=system,
            root=places.unified,
            pods=places.pods,
            prefix=prefix,
            remembered=remembered,
        )
    return None
