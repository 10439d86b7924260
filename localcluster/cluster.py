"""A named cluster on this machine: up, status, down."""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from localcluster.addresses import AddressPlan
from localcluster.bringup import (
    boot_ids,
    load_images,
    make_nodes,
    open_control,
    ready_nodes,
    start_nodes,
    wait_again,
)
from localcluster.claims import Claim, ClaimRefusal, choose_claim
from localcluster.errors import LocalClusterError
from localcluster.guest.bringup import first_images, make_guests, start_guests
from localcluster.guest.node import GuestNode
from localcluster.host.cgroups import find_trees, read_hierarchies
from localcluster.host.files import locked, write_changed
from localcluster.host.machine import Machine, online_cpus, remove_empty
from localcluster.host.network import used_indexes
from localcluster.host.packages import require_machine
from localcluster.host.paths import ClusterPaths, cache_root
from localcluster.host.processes import ProcessState, Supervisor
from localcluster.host.sandbox import Sandbox, drop_link
from localcluster.host.unified import Controllers
from localcluster.images.binaries import Binaries, ensure_binaries
from localcluster.images.cluster_images import PAUSE_IMAGE, ImageStore
from localcluster.nodes.layout import MOUNTS
from localcluster.plane.again import ask_again
from localcluster.plane.control_plane import ControlPlane, PlaneEndpoint
from localcluster.progress import Progress
from localcluster.registry import Registry
from localcluster.settings import EDGE_NODES, GUEST_NODE, ClusterSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The state of a cluster; ``nodes`` maps a name to whether it is Ready."""

    claim: Claim | None
    components: Sequence[ProcessState]
    nodes: dict[str, bool]

    @property
    def healthy(self) -> bool:
        """Whether everything that was started runs and every node is Ready."""
        running = bool(self.components) and all(state.running for state in self.components)
        return running and bool(self.nodes) and all(self.nodes.values())


class Cluster:
    """One cluster; making the object changes nothing. Builds are kept in ``cache``."""

    def __init__(self, settings: ClusterSettings, *, cache: Path | None = None) -> None:
        self.settings = settings
        self.name = settings.name
        self.cache = cache or cache_root(os.environ)
        self.paths = ClusterPaths.of(
            settings.name, state=settings.state_root, run=settings.run_root
        )
        self.supervisor = Supervisor(
            records=self.paths.processes, logs=self.paths.logs, patience=settings.patience
        )
        self._lock = settings.run_root / f"{settings.name}.lock"
        self._used_binaries = self.paths.state / "binaries"
        self._registry = Registry(settings.state_root)
        self._hierarchies = read_hierarchies()
        unified = self._hierarchies.unified
        self._machine = Machine(
            settings.state_root / "machine.json",
            controllers=None if unified is None else Controllers(unified),
        )

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.paths.kubeconfig

    def claim(self) -> Claim | None:
        """The cluster's claim on the machine; None when it is not up."""
        return next((one for one in self._registry.claims() if one.cluster == self.name), None)

    def up(self, progress: Progress | None = None) -> None:
        """Bring up what is not up yet, until every node is Ready.

        Raises ``LocalClusterError`` when the machine lacks something, another cluster holds what
        this one needs, or a component fails (with the end of its log).
        """
        require_machine()
        with locked(self._lock):
            try:
                self._up(progress or Progress())
            finally:
                if self.claim() is None:
                    self._lock.unlink()

    def down(self, progress: Progress | None = None) -> None:
        """Remove everything that ``up`` made, also the rest of a broken cluster."""
        steps = progress or Progress()
        with locked(self._lock), steps.step(f"taking cluster {self.name} down"):
            self._end_processes()
            claim = self.claim()
            if claim is not None:
                # The kernel removes it with its namespace, but asynchronously.
                drop_link(None, AddressPlan(index=claim.index).link)
            for directory in (self.paths.run, self.paths.state):
                if directory.exists():
                    shutil.rmtree(directory)
            with self._registry.locked():
                self._registry.drop(self.name)
                if not self._registry.claims():
                    self._machine.restore()
                    self._registry.clear()
            self._lock.unlink()
        roots = (self.settings.state_root, self.settings.run_root)
        remove_empty([str(path) for root in roots for path in (root, root.parent)])

    def status(self) -> ClusterStatus:
        """The state of every component and every node."""
        claim = self.claim()
        found: dict[str, bool] = {}
        if claim is not None and self.kubeconfig.exists():
            with suppress(LocalClusterError):  # the API server is among the components shown
                found = ready_nodes(self.plane())
        nodes = {node.name: found.get(node.name, False) for node in self.settings.nodes}
        return ClusterStatus(
            claim=claim,
            components=self.supervisor.states(),
            nodes=nodes if claim is not None else {},
        )

    def plane(self) -> ControlPlane:
        """The control plane of a cluster that is up."""
        claim = self._held_claim()
        used = Path(self._used_binaries.read_text(encoding="utf-8"))
        return self._plane(claim, binaries=Binaries(directory=used), sandbox=None)

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 180) -> str:
        """Run kubectl as administrator and return what it writes.

        ``apply`` is tried again where a webhook did not answer in time, as a person on a busy
        machine would.
        """

        def ask() -> str:
            return self.plane().kubectl(*words, stdin=stdin, timeout=timeout)

        return ask_again(ask, sleep=time.sleep) if "apply" in words else ask()

    def load_images(self, archives: Sequence[Path]) -> None:
        """Import docker archives on every node; those that are there already cost nothing.

        A guest that lacks one is restarted with it, and is Ready again when this returns.
        """
        claim, plane = self._held_claim(), self.plane()
        nodes = make_nodes(self.settings, claim, paths=self.paths, plane=plane)
        load_images(nodes, archives)
        guests = self._guests(claim, plane, Progress())
        stale = [guest for guest in guests if guest.needs(archives)]
        if stale:
            former = boot_ids(plane)
            control = open_control(
                self.settings, AddressPlan(index=claim.index), supervisor=self.supervisor
            )
            start_guests(stale, control, nodes=len(self.settings.nodes), archives=archives)
            wait_again(plane, stale, former)

    def _up(self, steps: Progress) -> None:
        claim = self._take_claim()
        binaries = ensure_binaries(self.settings.binaries, cache=self.cache, progress=steps)
        write_changed(self._used_binaries, str(binaries.directory.absolute()))
        self._record_nodes()
        pause = ImageStore(self.cache, progress=steps).pause()
        plan = AddressPlan(index=claim.index)
        with steps.step("starting etcd, API server, controller manager, scheduler"):
            control = open_control(self.settings, plan, supervisor=self.supervisor)
            plane = self._plane(claim, binaries=binaries, sandbox=control)
            plane.start()
            plane.start_controller_manager()
            plane.start_scheduler()
        nodes = make_nodes(self.settings, claim, paths=self.paths, plane=plane)
        guests = self._guests(claim, plane, steps)
        if guests:
            first = first_images(ImageStore(self.cache, progress=steps))
            start_guests(guests, control, nodes=len(self.settings.nodes), archives=first)
        with steps.step(f"starting nodes {', '.join(node.name for node in self.settings.nodes)}"):
            lacks = start_nodes(
                nodes, control, plane=plane, pause=(PAUSE_IMAGE, pause), guests=guests
            )
            self.supervisor.check_running(state.name for state in self.supervisor.states())
        for text in lacks:
            steps.note(text)

    def _record_nodes(self) -> None:
        """Record the nodes; another set of them would need other routes on each."""
        names = "".join(f"{node.name}\n" for node in self.settings.nodes)
        present = self.paths.nodes.read_text() if self.paths.nodes.exists() else names
        if present != names:
            raise LocalClusterError(
                f"cluster {self.name!r} is up with other nodes; take it down first: "
                f"`k40s local down --name {self.name}`"
            )
        self.paths.nodes.write_text(names, encoding="utf-8")

    def _guests(self, claim: Claim, plane: ControlPlane, steps: Progress) -> list[GuestNode]:
        return make_guests(
            self.settings, claim, paths=self.paths, plane=plane, cache=self.cache, progress=steps
        )

    def _end_processes(self) -> None:
        for state in reversed(self.supervisor.states()):
            self.supervisor.stop(state.name, grace=0)
        for prefix in (f"k40s-{self.name}-", f"k40s-rt-{self.name}-"):
            for tree in find_trees(prefix, hierarchies=self._hierarchies):
                tree.remove()

    def _held_claim(self) -> Claim:
        claim = self.claim()
        if claim is None:
            hint = f"`k40s local up --name {self.name}`"
            raise LocalClusterError(f"cluster {self.name!r} is not up; bring it up with {hint}")
        return claim

    def _take_claim(self) -> Claim:
        with self._registry.locked():
            held = self._registry.claims()
            mine = next((claim for claim in held if claim.cluster == self.name), None)
            if mine is not None:
                return mine
            chosen = choose_claim(
                cluster=self.name,
                held=held,
                machine_cpus=online_cpus(),
                cpus_wanted=self.settings.real_time_cpus,
                rt_capacity=self.settings.rt_capacity,
                taken_indexes=used_indexes(),
                keep_one=self._hierarchies.unified is not None,
            )
            if isinstance(chosen, ClaimRefusal):
                raise LocalClusterError(chosen.text)
            self._machine.prepare(MOUNTS, is_first=not held)
            self._registry.put(chosen)
            return chosen

    def _plane(self, claim: Claim, *, binaries: Binaries, sandbox: Sandbox | None) -> ControlPlane:
        return ControlPlane(
            directory=self.paths.state,
            binaries=binaries,
            supervisor=self.supervisor,
            endpoint=PlaneEndpoint(address=AddressPlan(index=claim.index).control_plane),
            sandbox=sandbox,
        )


def find_cluster(
    name: str, *, binaries: Path | None = None, guest: bool = False, patience: int = 1
) -> Cluster:
    """The cluster of this name, with a guest if requested or if it has one already.

    Raises ``ValueError`` for a name that no cluster can have.
    """
    settings = ClusterSettings(name=name, binaries=binaries, patience=patience)
    cluster = Cluster(settings)
    try:
        known = cluster.paths.nodes.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        known = []
    if not guest and GUEST_NODE.name not in known:
        return cluster
    return Cluster(replace(settings, nodes=(*EDGE_NODES, GUEST_NODE)))
