"""The serving process: gateway, store, daemon and probes, made after gunicorn's fork.

It is imported after the fork too, so that the libraries' memory is used once.
"""

import gc
import threading
import time
from collections.abc import Mapping

from flask import Flask

from daemons.scarmiglione.daemon import Daemon
from daemons.scarmiglione.network.back_end import BackEndName
from daemons.scarmiglione.network.discovery import Host
from daemons.scarmiglione.network.node import NodeBackEnds
from daemons.scarmiglione.settings import NetworkBackEnd, Settings
from k40s.http.probes import ProbeServer
from k40s.kube.connect import connect
from k40s.node_agent.store_handover import open_store
from k40s.pki.metrics import CertificateMetrics


class Process:
    """One scarmiglione with its probes."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """Start it; ``environment`` is the pod's, which names the API server.

        Raises ``UnavailableError`` when the store or the API server cannot be used.
        """
        store = open_store(settings.store, wait=threading.Event().wait, clock=time.monotonic)
        gateway = connect(kubeconfig=settings.kubeconfig, environment=environment)
        self._daemon = Daemon(
            settings,
            gateway=gateway,
            networks=gateway.networks(),
            pods=gateway.pods(node=settings.node_name),
            store=store,
            make_back_end=_back_ends(settings),
            xenomai=(settings.proc_path / "xenomai").exists(),
        )
        CertificateMetrics(
            self._daemon.registry,
            process="scarmiglione",
            certificates={"server": settings.tls_directory / "tls.crt"},
        )
        ProbeServer(
            host=settings.listen_host,
            port=settings.probe_port,
            registry=self._daemon.registry,
            healthy=self._daemon.healthy,
            ready=self._daemon.ready,
        ).start()
        self._daemon.start()
        # As long-lived objects they would only prolong each collection.
        gc.collect()
        gc.freeze()

    def api(self) -> Flask:
        """The HTTP API."""
        return self._daemon.api()

    def halt(self) -> None:
        """End the loops; slots stay as they are, and no station is detached."""
        self._daemon.halt()


def _back_ends(settings: Settings) -> NodeBackEnds:
    """The back ends of the node's interfaces, by the operator's choice."""
    choice = settings.network_back_end
    return NodeBackEnds(
        host=Host(
            proc=settings.proc_path,
            sys=settings.sys_path,
            tdmacfg=settings.tdmacfg_path,
            last_channel=settings.tdma_last_slot,
        ),
        name=None if choice is NetworkBackEnd.AUTO else BackEndName(choice.value),
        wait=threading.Event().wait,
    )
