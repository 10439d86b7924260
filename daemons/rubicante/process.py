"""The serving process: gateway, store, daemon and probes, made after gunicorn's fork.

It is imported after the fork too, so that the libraries' memory is used once.
"""

import gc
import threading
import time
from collections.abc import Mapping

from flask import Flask

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.timer.probes import LINUX_PROGRAMS
from daemons.rubicante.settings import Settings
from k40s.http.probes import ProbeServer
from k40s.kube.connect import connect
from k40s.node_agent.store_handover import open_store
from k40s.pki.metrics import CertificateMetrics


class Process:
    """One rubicante with its probes."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """Start it; ``environment`` is the pod's, which names the API server.

        Raises ``UnavailableError`` when the store or the API server cannot be used.
        """
        store = open_store(settings.store, wait=threading.Event().wait, clock=time.monotonic)
        gateway = connect(kubeconfig=settings.kubeconfig, environment=environment)
        self._daemon = Daemon(
            settings,
            system=LinuxSystem(dry_run=settings.dry_run),
            gateway=gateway,
            pods=gateway.pods(node=settings.node_name),
            store=store,
            deadline=DeadlineAccess(
                attributes=LinuxAttributes(dry_run=settings.dry_run),
                programs=None if settings.dry_run else LINUX_PROGRAMS,
            ),
        )
        CertificateMetrics(
            self._daemon.registry,
            process="rubicante",
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
        # All objects so far live as long as the process. Frozen, they neither prolong collections
        # nor delay a full one, which waits until new objects amount to a quarter of them.
        gc.collect()
        gc.freeze()

    def api(self) -> Flask:
        """The HTTP API."""
        return self._daemon.api()

    def halt(self) -> None:
        """End the loops; what is enforced stays enforced."""
        self._daemon.halt()
