"""The process that serves: everything that must not exist before gunicorn's fork.

It is imported after the fork as well, so that what the libraries take is in memory once.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from flask import Flask

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.deadline_access import DeadlineAccess
from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.settings import Settings
from k40s.runtime.kube import connect
from k40s.runtime.probes import ProbeServer
from k40s.runtime.store import Store, StoreInUseError

log = logging.getLogger(__name__)

_HANDOVER_SECONDS = 45.0
"""How long the process before may take to end: more than its grace period."""
_RETRY_SECONDS = 0.25


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
            deadline=DeadlineAccess(attributes=LinuxAttributes(dry_run=settings.dry_run)),
        )
        ProbeServer(
            host=settings.listen_host,
            port=settings.probe_port,
            registry=self._daemon.registry,
            healthy=self._daemon.healthy,
            ready=self._daemon.keeper.trouble,
        ).start()
        self._daemon.start()
        # What is there now lives as long as the process. Not looked at again, it neither makes
        # collections long nor lets garbage wait until there is a quarter as much of it.
        gc.collect()
        gc.freeze()

    def api(self) -> Flask:
        """The HTTP API."""
        return self._daemon.api()

    def halt(self) -> None:
        """End the loops; what is enforced stays enforced."""
        self._daemon.halt()


def open_store(path: Path, *, wait: Callable[[float], object], clock: Callable[[], float]) -> Store:
    """Open the store; while another rubicante has it, say so and wait for that one to end.

    Raises ``UnavailableError`` when the file cannot be used, or the other one does not end.
    """
    end = clock() + _HANDOVER_SECONDS
    said = False
    while True:
        try:
            return Store(path)
        except StoreInUseError as error:
            if clock() >= end:
                raise
            if not said:
                log.warning("waiting for another rubicante to end", extra={"cause": str(error)})
                said = True
        wait(_RETRY_SECONDS)
