"""A control plane: etcd, kube-apiserver and, on request, controller manager and schedulers.

Inside a ``Sandbox`` it serves a cluster of real nodes. On loopback it needs no root, no kubelet and
no namespaces: tests and benchmarks register fake Node objects there and run a real kube-scheduler.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.tls import TlsFiles
from k40s.units import NS_PER_S, Nanoseconds
from localcluster.addresses import API_SERVICE, SERVICE_RANGE
from localcluster.components import apiserver, controller_manager, etcd, scheduler
from localcluster.credentials.certificates import Authority, KeyPair, issue_signing_key
from localcluster.credentials.kubeconfig import write_kubeconfig
from localcluster.host.commands import run
from localcluster.host.files import write_changed
from localcluster.host.ports import free_ports
from localcluster.host.processes import Supervisor
from localcluster.host.sandbox import Sandbox
from localcluster.images.binaries import Binaries

_START_TIMEOUT = 300
_READY_TIMEOUT = Nanoseconds(2 * NS_PER_S)
_ADMINISTRATORS = "system:masters"
"""The group that may do everything."""
_LOOPBACK = IPv4Address("127.0.0.1")
_SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneEndpoint:
    """The API server's address, and the ports of all components of a control plane."""

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
        sandbox: Sandbox | None = None,
        api_flags: Sequence[str] = (),
    ) -> None:
        """``api_flags`` are further flags of kube-apiserver, such as a feature gate."""
        self.endpoint = endpoint
        self._api_flags = tuple(api_flags)
        self.kubeconfig = directory / "admin.kubeconfig"
        self.directory = directory
        self._pki = directory / "pki"
        self.binaries = binaries
        self.supervisor = supervisor
        self._sandbox = sandbox
        self.authority = Authority(self._pki, "ca")

    @classmethod
    @contextmanager
    def on_loopback(
        cls, *, directory: Path, binaries: Binaries, api_flags: Sequence[str] = ()
    ) -> Iterator["ControlPlane"]:
        """A control plane on free ports of 127.0.0.1, ended (data and all) with the block."""
        ports = free_ports(4)
        endpoint = PlaneEndpoint(
            address=_LOOPBACK,
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
                directory=directory,
                binaries=binaries,
                supervisor=supervisor,
                endpoint=endpoint,
                api_flags=api_flags,
            )
            plane.start()
            yield plane

    def start(self) -> None:
        """Start etcd and the API server, and wait until it is ready."""
        files = _issue_certificates(
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
            [
                *apiserver.command(
                    self.binaries.path("kube-apiserver"),
                    files=files,
                    address=self.endpoint.address,
                    port=self.endpoint.api_port,
                    etcd_port=self.endpoint.etcd_port,
                    services=SERVICE_RANGE,
                ),
                *self._api_flags,
            ],
        )
        self.identity("admin", name="kubernetes-admin", organizations=[_ADMINISTRATORS])
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
                port=port or (10259 if self._sandbox else free_ports(1)[0]),
                v=verbosity,
                flags=self.binaries.scheduler_flags,
            ),
        )

    def stop(self, name: str) -> None:
        """End one component, such as a scheduler before a restart."""
        self.supervisor.stop(name)

    def log(self, name: str) -> Path:
        """The log of a component."""
        return self.supervisor.log(name)

    def pid(self, name: str) -> int | None:
        """The pid of a component that runs."""
        return self.supervisor.pid(name)

    def identity(self, file: str, *, name: str, organizations: list[str] | None = None) -> Path:
        """A kubeconfig for a user: RBAC goes by certificate name and groups."""
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
        if self._sandbox is None:
            self.supervisor.start(name, argv)
        else:
            self.supervisor.start(name, self._sandbox.inside(argv), adopt=self._sandbox.adopt)

    def _is_ready(self) -> bool:
        admin = KeyPair.at(self._pki, "admin")
        tls = TlsFiles(cert=admin.certificate, key=admin.key, ca=self.authority.pair.certificate)
        timeout = Nanoseconds(_READY_TIMEOUT * self.supervisor.patience)
        try:
            client = HttpClient(base_url=self.endpoint.server, tls=tls, timeout=timeout)
            with closing(client):
                return client.request("GET", "/readyz")[0] == HTTPStatus.OK
        except UnavailableError:
            return False


def _issue_certificates(
    pki: Path, *, address: IPv4Address, authority: Authority
) -> apiserver.ApiServerFiles:
    """Issue missing certificates. etcd has its own authority: only the API server may connect."""
    store = Authority(pki, "etcd-ca")
    hosts: list[str | IPv4Address] = [*_SERVER_NAMES, *sorted({address, API_SERVICE, _LOOPBACK})]
    return apiserver.ApiServerFiles(
        authority=authority.pair.certificate,
        server=authority.issue("apiserver", name="kube-apiserver", hosts=hosts),
        kubelet_client=authority.issue(
            "apiserver-kubelet",
            name="kube-apiserver-kubelet-client",
            organizations=[_ADMINISTRATORS],
        ),
        etcd_authority=store.pair.certificate,
        etcd_server=store.issue("etcd", name="etcd", hosts=[_LOOPBACK, "localhost"]),
        etcd_client=store.issue("apiserver-etcd", name="kube-apiserver"),
        service_accounts=issue_signing_key(pki, "service-accounts"),
    )


def _stop_all(supervisor: Supervisor) -> None:
    for state in reversed(supervisor.states()):
        supervisor.stop(state.name, grace=2)
