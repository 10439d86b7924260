"""A control plane: etcd, kube-apiserver and, when asked, controller manager and schedulers.

Inside a ``Place`` it serves a cluster of real nodes. On loopback it needs no root, no kubelet and
no namespaces: tests and benchmarks register fake Node objects there and run a real kube-scheduler.
"""

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import urllib3

from localcluster.addresses import SERVICE_RANGE
from localcluster.binaries import Binaries
from localcluster.certificates import Authority, KeyPair
from localcluster.commands import run
from localcluster.components import apiserver, controller_manager, etcd, scheduler
from localcluster.files import write_changed
from localcluster.kubeconfig import write_kubeconfig
from localcluster.places import Place
from localcluster.plane_files import ADMINISTRATORS, issue_plane_files
from localcluster.processes import Supervisor

_START_TIMEOUT = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneEndpoint:
    """Where a control plane listens: the API server's address, and the ports of all its parts."""

    address: IPv4Address
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    controller_manager_port: int = 10257

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"


class ControlPlane:
    """Etcd and API server, and what else is started on top of them."""

    def __init__(
        self,
        *,
        directory: Path,
        binaries: Binaries,
        supervisor: Supervisor,
        endpoint: PlaneEndpoint,
        place: Place | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.kubeconfig = directory / "admin.kubeconfig"
        self.directory = directory
        self._pki = directory / "pki"
        self.binaries = binaries
        self.supervisor = supervisor
        self._place = place
        self.authority = Authority(self._pki, "ca")

    @classmethod
    @contextmanager
    def on_loopback(cls, *, directory: Path, binaries: Binaries) -> Iterator["ControlPlane"]:
        """A control plane on free ports of 127.0.0.1, ended (data and all) with the block."""
        ports = free_ports(4)
        endpoint = PlaneEndpoint(
            address=IPv4Address("127.0.0.1"),
            api_port=ports[0],
            etcd_port=ports[1],
            etcd_peer_port=ports[2],
            controller_manager_port=ports[3],
        )
        supervisor = Supervisor(records=directory / "processes", logs=directory / "logs")
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, directory / "etcd", ignore_errors=True)
            undo.callback(_stop_all, supervisor)
            plane = cls(
                directory=directory, binaries=binaries, supervisor=supervisor, endpoint=endpoint
            )
            plane.start()
            yield plane

    def start(self) -> None:
        """Start etcd and the API server, and wait until it is ready."""
        files = issue_plane_files(
            self._pki, address=self.endpoint.address, authority=self.authority
        )
        self._launch(
            "etcd",
            etcd.command(
                self.binaries.path("etcd"),
                data=self.directory / "etcd",
                authority=files.etcd_authority,
                identity=files.etcd_server,
                client_port=self.endpoint.etcd_port,
                peer_port=self.endpoint.etcd_peer_port,
            ),
        )
        self._launch(
            "kube-apiserver",
            apiserver.command(
                self.binaries.path("kube-apiserver"),
                files=files,
                address=self.endpoint.address,
                port=self.endpoint.api_port,
                etcd_port=self.endpoint.etcd_port,
                services=SERVICE_RANGE,
            ),
        )
        self.identity("admin", name="kubernetes-admin", organizations=[ADMINISTRATORS])
        self.supervisor.wait_ready(
            "kube-apiserver", self._is_ready, timeout=_START_TIMEOUT, needs=("etcd",)
        )

    def start_controller_manager(self) -> None:
        """Start kube-controller-manager with all its controllers."""
        identity = "system:kube-controller-manager"
        self._launch(
            "kube-controller-manager",
            controller_manager.command(
                self.binaries.path("kube-controller-manager"),
                kubeconfig=self.identity("kube-controller-manager", name=identity),
                authority=self.authority.pair.certificate,
                service_accounts=KeyPair.at(self._pki, "service-accounts"),
                services=SERVICE_RANGE,
                port=self.endpoint.controller_manager_port,
            ),
        )

    def start_scheduler(
        self,
        configuration: Mapping[str, Any] = scheduler.DEFAULT_CONFIGURATION,
        *,
        name: str = "kube-scheduler",
        port: int | None = None,
        verbosity: int = 1,
    ) -> None:
        """Start a kube-scheduler with the given keys of a KubeSchedulerConfiguration.

        Its kubeconfig is filled in; further schedulers need a ``name`` of their own.
        """
        kubeconfig = self.identity("kube-scheduler", name="system:kube-scheduler")
        config = self.directory / "config" / f"{name}.yaml"
        if write_changed(config, scheduler.configuration(configuration, kubeconfig=kubeconfig)):
            self.supervisor.stop(name)
        self._launch(
            name,
            scheduler.command(
                self.binaries.path("kube-scheduler"),
                config=config,
                kubeconfig=kubeconfig,
                port=port or (10259 if self._place else free_ports(1)[0]),
                v=verbosity,
            ),
        )

    def stop(self, name: str) -> None:
        """End one component, such as a scheduler that is to be started anew."""
        self.supervisor.stop(name)

    def log(self, name: str) -> Path:
        """The log of a component."""
        return self.supervisor.log(name)

    def pid(self, name: str) -> int | None:
        """The pid of a component that runs."""
        return self.supervisor.pid(name)

    def identity(self, file: str, *, name: str, organizations: list[str] | None = None) -> Path:
        """A kubeconfig for somebody: certificate name and groups decide about the rights."""
        pair = self.authority.issue(file, name=name, organizations=organizations or [])
        return write_kubeconfig(
            self.directory / f"{file}.kubeconfig",
            server=self.endpoint.server,
            authority=self.authority.pair.certificate,
            identity=pair,
        )

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 180) -> str:
        """Run kubectl as administrator and return what it writes."""
        return run(
            [
                self.binaries.path("kubectl"),
                f"--kubeconfig={self.kubeconfig}",
                f"--cache-dir={self.directory / 'kubectl-cache'}",
                *words,
            ],
            stdin=stdin,
            timeout=timeout,
        )

    def get(self, *words: str) -> dict[str, Any]:
        """``kubectl get ... -o json`` as a document."""
        document: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return document

    def _launch(self, name: str, argv: list[str]) -> None:
        if self._place is None:
            self.supervisor.start(name, argv)
        else:
            self.supervisor.start(name, self._place.inside(argv), adopt=self._place.adopt)

    def _is_ready(self) -> bool:
        admin = KeyPair.at(self._pki, "admin")
        with urllib3.PoolManager(
            ca_certs=str(self.authority.pair.certificate),
            cert_file=str(admin.certificate),
            key_file=str(admin.key),
            timeout=2,
            retries=False,
        ) as pool:
            try:
                return pool.request("GET", f"{self.endpoint.server}/readyz").status == 200  # noqa: PLR2004
            except urllib3.exceptions.HTTPError:
                return False


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _stop_all(supervisor: Supervisor) -> None:
    for state in reversed(supervisor.states()):
        supervisor.stop(state.name, grace=2)
