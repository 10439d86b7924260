"""Runs a node daemon: settings, logging, metrics, API server, until SIGTERM or SIGINT."""

import logging
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from k40s.errors import UnavailableError
from k40s.kube.connect import connect
from k40s.kube.gateway import KubeGateway
from k40s.runtime.log import configure
from k40s.runtime.settings import NODE_FILES, SettingsError, node_environment, read_settings

_UNAVAILABLE = 1
_BAD_SETTINGS = 2


class AgentSettings(Protocol):
    """The settings that every node daemon has."""

    @property
    def log_level(self) -> str:
        """DEBUG, INFO, WARNING or ERROR."""

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig file, or "" for the pod's service account."""


class Agent(Protocol):
    """A daemon that is put together."""

    def start(self) -> None:
        """Start its loops and probes."""

    def stop(self) -> None:
        """End them, and free what they hold."""


S = TypeVar("S", bound=AgentSettings)
S_contra = TypeVar("S_contra", bound=AgentSettings, contravariant=True)


class MakeAgent(Protocol[S_contra]):
    """Puts a daemon together."""

    def __call__(
        self, settings: S_contra, /, *, gateway: KubeGateway, registry: CollectorRegistry
    ) -> Agent:
        """The daemon, not started. Raises ``UnavailableError`` and ``SettingsError``."""


def run_agent(
    settings_type: type[S],
    make: MakeAgent[S],
    environ: Mapping[str, str],
    stop: threading.Event,
    *,
    log: logging.Logger,
) -> int:
    """Run a daemon until ``stop`` is set; returns the exit code."""
    configure("info", sys.stderr)
    try:
        settings = read_settings(settings_type, node_environment(environ, NODE_FILES))
        configure(settings.log_level, sys.stderr)
    except (SettingsError, ValueError) as error:
        log.error("settings are invalid", extra={"problems": str(error)})  # noqa: TRY400  # the text says it all
        return _BAD_SETTINGS
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    try:
        gateway = connect(kubeconfig=settings.kubeconfig, environment=environ)
        agent = make(settings, gateway=gateway, registry=registry)
    except SettingsError as error:
        log.error("settings are invalid", extra={"problems": str(error)})  # noqa: TRY400  # as above
        return _BAD_SETTINGS
    except UnavailableError as error:
        log.error("cannot start", extra={"cause": str(error)})  # noqa: TRY400  # as above
        return _UNAVAILABLE
    agent.start()
    stop.wait()
    agent.stop()
    return 0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
